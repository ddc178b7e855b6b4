"""The audit notices each kind of damage, and excuses only what it must."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from sandbox.discord.messages import create_message, delete_message
from sandbox.discord.model import EPHEMERAL, LOADING
from sandbox.vidgo.records import Submission
from tests.faults.audit import audit
from tests.faults.harness import SONG, Order, Stage, open_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.faults.audit import Kind, Verdict
    from tests.faults.program import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORDERS = 24


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """What a program has left that nothing disturbed: songs, and one sentence."""
    async with open_stage(nursery, tmp_path_factory.mktemp("sound"), channels=10) as stage:
        for _ in range(ORDERS):
            await stage.generate()
        await stage.refused()
        await stage.settle()
        assert (await audit(stage)).damages == []
        await stage.program.stop()
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def before(stage: Stage) -> Verdict:
    """What the audit has found until now."""
    return await audit(stage)


@pytest.fixture
def order(stage: Stage) -> Order:
    """An order that is still sound."""
    untouched = next(one for one in stage.orders if one.kind == "generate" and one.member.name not in TOUCHED)
    TOUCHED.add(untouched.member.name)
    return untouched


TOUCHED: set[str] = set()


def change(stage: Stage, query: str, *values: object) -> None:
    """Change the database as only a bug could."""
    with closing(sqlite3.connect(stage.database)) as connection:
        assert connection.execute(query, values).rowcount == 1
        connection.commit()


def whisper(order: Order, content: str) -> None:
    """Tell a member something in private once more."""
    body = {"content": content, "flags": EPHEMERAL}
    order.call.followups.append(create_message(order.channel, order.channel.state.bot, body, call=order.call))


def post_is_gone(stage: Stage, order: Order) -> None:
    delete_message(stage.posts(order)[0])


def given_up(stage: Stage, order: Order) -> None:
    change(stage, "UPDATE notifications SET state = 'undeliverable' WHERE user_id = ?", order.member.id)


def task_is_forgotten(stage: Stage, order: Order) -> None:
    change(stage, "DELETE FROM tasks WHERE user_id = ?", order.member.id)


def paid_for_nothing(stage: Stage, order: Order) -> None:
    query = "UPDATE tasks SET status = 'failed', error_kind = 'busy' WHERE user_id = ?"
    change(stage, query, order.member.id)


def never_made(stage: Stage, order: Order) -> None:
    [row] = stage.rows("SELECT vidgo_id FROM tasks WHERE user_id = ?", order.member.id)
    stage.vidgo.tasks[row["vidgo_id"]].status = "failed"


def posted_twice(stage: Stage, order: Order) -> None:
    create_message(order.channel, stage.discord.state.bot, {"content": stage.posts(order)[0].content})


def told_besides(_stage: Stage, order: Order) -> None:
    whisper(order, "I was interrupted before I could do that.")


def told_without_acknowledgement(_stage: Stage, order: Order) -> None:
    order.call.acknowledged_at, order.life = None, 0


def ordered_twice(stage: Stage, order: Order) -> None:
    [row] = stage.rows("SELECT * FROM tasks WHERE user_id = ?", order.member.id)
    values = {**row, "id": f"{row['id'][:-4]}zzzz", "vidgo_id": None, "status": "failed", "error_kind": "failed"}
    marks = ", ".join("?" * len(values))
    change(stage, f"INSERT INTO tasks ({', '.join(values)}) VALUES ({marks})", *values.values())


def submitted_twice(stage: Stage, order: Order) -> None:
    first = next(one for one in stage.vidgo.submissions if one.input["prompt"] == order.key)
    stage.vidgo.log_submission(Submission(SONG, first.input, first.callback_url, first.at, None, None, accepted=False))


def charged_twice(stage: Stage, order: Order) -> None:
    first = next(one for one in stage.vidgo.submissions if one.input["prompt"] == order.key)
    again = Submission(SONG, first.input, first.callback_url, first.at, 200, "ANOTHER000000001", accepted=True)
    stage.vidgo.log_submission(again)
    stage.vidgo.charged.append(("ANOTHER000000001", 20))


def still_thinking(_stage: Stage, order: Order) -> None:
    assert order.call.original is not None
    order.call.original.flags |= LOADING


def still_sending(stage: Stage, order: Order) -> None:
    change(stage, "UPDATE notifications SET state = 'sending' WHERE user_id = ?", order.member.id)


def token_is_kept(stage: Stage, order: Order) -> None:
    change(stage, "UPDATE notifications SET interaction_token = 'secret' WHERE user_id = ?", order.member.id)


def acknowledgement_is_stale(stage: Stage, order: Order) -> None:
    assert order.public is not None
    order.public.content = "Making **Sea Song**."
    assert stage.posts(order)


def task_lives_on(stage: Stage, order: Order) -> None:
    change(stage, "UPDATE tasks SET status = 'running' WHERE user_id = ?", order.member.id)


def notification_is_gone(stage: Stage, order: Order) -> None:
    change(stage, "DELETE FROM notifications WHERE user_id = ?", order.member.id)


def archive_is_cut_off(stage: Stage, _order: Order) -> None:
    path = max(stage.archive.glob("*/*"), key=lambda path: path.stat().st_size)
    with path.open("r+b") as file:
        file.truncate(1000)


def archive_lacks_a_file(stage: Stage, _order: Order) -> None:
    min(stage.archive.glob("*/*"), key=lambda path: path.stat().st_size).unlink()


def archive_has_a_part(stage: Stage, _order: Order) -> None:
    next(stage.archive.glob("*/*")).with_name(".0123.part").write_bytes(b"ID3")


DAMAGES: list[tuple[Kind, Callable[[Stage, Order], None]]] = [
    ("lost", post_is_gone),
    ("lost", given_up),
    ("lost", task_is_forgotten),
    ("lost", paid_for_nothing),
    ("lost", never_made),
    ("twice", posted_twice),
    ("twice", told_besides),
    ("twice", told_without_acknowledgement),
    ("twice", ordered_twice),
    ("paid twice", submitted_twice),
    ("paid twice", charged_twice),
    ("left thinking", still_thinking),
    ("left behind", still_sending),
    ("left behind", token_is_kept),
    ("left behind", acknowledgement_is_stale),
    ("left behind", task_lives_on),
    ("left behind", notification_is_gone),
    ("half file", archive_is_cut_off),
    ("half file", archive_lacks_a_file),
    ("half file", archive_has_a_part),
]


@pytest.mark.parametrize(("kind", "do"), DAMAGES, ids=[do.__name__ for _, do in DAMAGES])
async def test_a_damage_is_noticed(
    stage: Stage, before: Verdict, order: Order, kind: Kind, do: Callable[[Stage, Order], None]
) -> None:
    do(stage, order)
    verdict = await audit(stage)
    verdict.subtract(before)
    assert kind in verdict.kinds, str(verdict)


async def test_what_waits_to_be_posted_by_nobody_is_noticed(stage: Stage, before: Verdict) -> None:
    (stage.posting / "left").mkdir()
    verdict = await audit(stage)
    (stage.posting / "left").rmdir()
    verdict.subtract(before)
    assert list(verdict.kinds) == ["half file"]


async def test_a_sentence_that_could_not_be_recorded_is_excused_once(stage: Stage, before: Verdict) -> None:
    refused = stage.orders[-1]
    refused.untold = 1
    whisper(refused, "I was interrupted before I could do that.")
    verdict = await audit(stage)
    verdict.subtract(before)
    assert verdict.damages == []
    assert verdict.repeated == 1
    whisper(refused, "I was interrupted before I could do that.")
    verdict = await audit(stage)
    verdict.subtract(before)
    assert list(verdict.kinds) == ["twice"]


async def test_a_post_is_never_excused(stage: Stage, before: Verdict, order: Order) -> None:
    order.untold = 5
    posted_twice(stage, order)
    verdict = await audit(stage)
    verdict.subtract(before)
    assert list(verdict.kinds) == ["twice"]


async def test_what_was_paid_and_never_confirmed_is_counted_apart(stage: Stage, before: Verdict, order: Order) -> None:
    query = "UPDATE tasks SET status = 'given_up', error_kind = 'lost', vidgo_id = NULL WHERE user_id = ?"
    change(stage, query, order.member.id)
    verdict = await audit(stage)
    verdict.subtract(before)
    assert verdict.damages == []
    assert verdict.unconfirmed == 1
