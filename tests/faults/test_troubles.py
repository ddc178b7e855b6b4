"""Every trouble, each with the real program on a stage of its own. `make faults` is the long form."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeGuard

import pytest
import pytest_asyncio

from tests.faults.troubles import TROUBLES, Trouble, play

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.faults.audit import Verdict
    from tests.faults.program import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE = 3
"""How many troubles are played beside each other: most of them wait, most of the time."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def playing(
    request: pytest.FixtureRequest, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, asyncio.Task[Verdict]]]:
    """Every trouble that is asked for, under way."""
    room = asyncio.Semaphore(AT_ONCE)

    async def begin(trouble: Trouble) -> Verdict:
        async with room:
            _, verdict = await play(nursery, tmp_path_factory.mktemp("trouble"), trouble)
            return verdict

    asked = {item.callspec.id for item in request.session.items if _is_trouble(item)}
    begun = {trouble.name: asyncio.create_task(begin(trouble)) for trouble in TROUBLES if trouble.name in asked}
    yield begun
    for task in begun.values():
        task.cancel()
    await asyncio.gather(*begun.values(), return_exceptions=True)


def _is_trouble(item: pytest.Item) -> TypeGuard[pytest.Function]:
    return isinstance(item, pytest.Function) and item.originalname == test_a_trouble_does_no_damage.__name__


@pytest.mark.parametrize("trouble", TROUBLES, ids=[trouble.name for trouble in TROUBLES])
async def test_a_trouble_does_no_damage(playing: dict[str, asyncio.Task[Verdict]], trouble: Trouble) -> None:
    verdict = await playing[trouble.name]
    if verdict.damages:
        pytest.fail(str(verdict), pytrace=False)
