"""Three processes on one PostgreSQL: each dies, hangs and hands over, and so does what lies between them.

`make faults` is the long form.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.faults.processes.disasters import (
    crash_server,
    deafen,
    hand_over,
    hand_over_shards,
    kill,
    kill_all,
    kill_and_restart,
    kill_who_hears,
    suspend,
)
from tests.faults.processes.rounds import play_rounds
from tests.postgresql import PostgreSQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.faults.processes.disasters import Disaster
    from tests.faults.program import Nursery
    from tests.faults.rounds import Played

pytestmark = pytest.mark.asyncio(loop_scope="module")

TASKS = 6


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A server that nobody else uses, for it is going to die."""
    own = PostgreSQL()
    yield own
    own.close()


STANDING_BY = "who hears dies, and hands over"

ORDER: dict[str, tuple[Disaster, ...]] = {
    "killed": (kill, kill_and_restart, kill_all),
    "stopped for longer than its lease": (suspend,),
    "the server dies": (crash_server,),
    "handed over, and not heard": (hand_over, deafen),
    STANDING_BY: (kill_who_hears, hand_over_shards),
}


@pytest.mark.parametrize("name", ORDER)
async def test_nothing_is_lost_or_done_twice_by_several(
    nursery: Nursery,
    tmp_path_factory: pytest.TempPathFactory,
    server: PostgreSQL,
    name: str,
    show: Callable[[str], None],
) -> None:
    seed = random.SystemRandom().randrange(1 << 31)
    played: list[Played] = []

    def directory() -> Path:
        return tmp_path_factory.mktemp("shared")

    await play_rounds(
        nursery,
        directory,
        server,
        [seed],
        TASKS,
        played.append,
        callbacks=seed % 2 == 0,
        disasters=ORDER[name],
        stand_by=name == STANDING_BY,
    )
    assert {one.seed: str(one.verdict) for one in played if one.verdict.damages} == {}
    show(f"{sum(one.deaths for one in played)} deaths")
