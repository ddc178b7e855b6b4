"""What is particular about single transitions of tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy.exc import IntegrityError

from storage import tasks
from storage.database import Database
from storage.ids import new_id
from storage.planned import Gone
from storage.schema import TaskStatus
from storage.tasks import Task
from tests.storage.rows import NOW, a_task, add, in_status, one

LATER = NOW + 60


async def test_a_task_begins_as_queued_and_only_once_for_what_would_make_the_same(database: Database) -> None:
    await add(database, [a_task(order_key="same")])
    with pytest.raises(IntegrityError):
        await add(database, [a_task(order_key="same")])
    song = a_task(status=TaskStatus.FINISHED)
    await add(database, [song, a_task(model="generate-music-cover", source_id=song.id)])
    with pytest.raises(IntegrityError):
        await add(database, [a_task(model="generate-music-cover", source_id=song.id)])


async def test_an_accepted_task_takes_its_id_from_one_that_ended_badly_and_from_no_other(database: Database) -> None:
    bad = a_task(status=TaskStatus.GIVEN_UP, vidgo_id="VG1")
    good = a_task(status=TaskStatus.WAITING, vidgo_id="VG2")
    task, other = a_task(status=TaskStatus.SUBMITTING), a_task(status=TaskStatus.SUBMITTING)
    await add(database, [bad, good, task, other])
    async with database.write() as transaction:
        await tasks.accept(transaction, task.id, "VG1", NOW, LATER)
    assert ((await one(database, bad.id)).vidgo_id, (await one(database, task.id)).vidgo_id) == (None, "VG1")
    with pytest.raises(IntegrityError):
        async with database.write() as transaction:
            await tasks.accept(transaction, other.id, "VG2", NOW, LATER)
    assert await one(database, other.id) == other


@pytest.mark.parametrize("status", [TaskStatus.QUEUED, TaskStatus.WAITING])
async def test_a_task_that_is_not_accepted_takes_no_id_away(database: Database, status: TaskStatus) -> None:
    bad, task = a_task(status=TaskStatus.GIVEN_UP, vidgo_id="VG1"), in_status(status)
    await add(database, [bad, task])
    async with database.write() as transaction:  # which goes on
        with pytest.raises(Gone):
            await tasks.accept(transaction, task.id, "VG1", NOW, LATER)
    assert await one(database, bad.id) == bad


@pytest.mark.parametrize(("end", "status"), [(tasks.refuse, TaskStatus.FAILED), (tasks.lose, TaskStatus.GIVEN_UP)])
async def test_a_task_whose_id_is_known_or_that_was_sent_again_is_neither_refused_nor_lost(
    database: Database, end: Callable[..., Awaitable[Task]], status: TaskStatus
) -> None:
    known, unknown = (a_task(status=TaskStatus.SUBMITTING, vidgo_id=vidgo_id) for vidgo_id in ("VG1", None))
    again = a_task(status=TaskStatus.SUBMITTING, tries=2)
    await add(database, [known, unknown, again])
    async with database.write() as transaction:
        for task in (known, replace(again, tries=1)):
            with pytest.raises(Gone):
                await end(transaction, task, "lost", None, NOW)
        await end(transaction, unknown, "lost", None, NOW)
    assert [await one(database, task.id) for task in (known, again)] == [known, again]
    assert (await one(database, unknown.id)).status is status


async def test_a_callback_that_came_first_makes_the_accepted_task_due_and_keeps_the_unanswered_one_so(
    database: Database,
) -> None:
    rung = [a_task(status=TaskStatus.SUBMITTING, rereads=3, vidgo_id=f"VG{n}", poll_at=NOW, tries=2) for n in range(2)]
    await add(database, rung)
    async with database.write() as transaction:
        accepted = await tasks.accept(transaction, rung[0].id, "VG0", NOW, LATER)
        unanswered = await tasks.unanswered(transaction, rung[1], LATER)
    assert (accepted.poll_at, accepted.tries) == (NOW, 0)
    assert (unanswered.poll_at, unanswered.tries) == (NOW, 3)


async def test_a_callback_reaches_a_task_by_its_id_or_before_it_has_one(database: Database) -> None:
    known, unknown, ended = (
        a_task(status=TaskStatus.RUNNING, vidgo_id="VG1", poll_at=LATER),
        a_task(status=TaskStatus.SUBMITTING),
        a_task(status=TaskStatus.FAILED, vidgo_id="VG3", error_kind="content"),
    )
    await add(database, [known, unknown, ended])

    async def ring(task: Task, vidgo_id: str, *, is_finished: bool = True, is_answering: bool = False) -> Task:
        async with database.write() as transaction:
            return await tasks.ring(
                transaction, task.id, vidgo_id, NOW, 3, is_finished=is_finished, is_answering=is_answering
            )

    with pytest.raises(Gone):
        await ring(known, "VG9")
    with pytest.raises(IntegrityError):
        await ring(unknown, "VG1")
    with pytest.raises(Gone):
        await ring(ended, "VG3", is_finished=False)
    assert [await one(database, task.id) for task in (known, unknown, ended)] == [known, unknown, ended]
    rung = await ring(unknown, "VG2", is_answering=True)
    assert (rung.status, rung.vidgo_id, rung.poll_at, rung.rereads) == (TaskStatus.SUBMITTING, "VG2", NOW, 3)
    rung = await ring(unknown, "VG2", is_finished=False)
    assert rung.status is TaskStatus.WAITING
    assert (await ring(known, "VG1")).poll_at == NOW


async def test_a_callback_cannot_bring_back_a_cover_whose_place_is_taken(database: Database) -> None:
    song = a_task(status=TaskStatus.FINISHED)
    cover = {"model": "generate-music-cover", "source_id": song.id}
    old = a_task(status=TaskStatus.GIVEN_UP, vidgo_id="VG1", **cover)
    await add(database, [song, old, a_task(**cover)])
    with pytest.raises(IntegrityError):
        async with database.write() as transaction:
            await tasks.ring(transaction, old.id, "VG1", NOW, 3, is_finished=True, is_answering=False)
    with pytest.raises(IntegrityError):
        async with database.write() as transaction:
            await tasks.finish(transaction, old.id, "VG1", NOW)
    assert await one(database, old.id) == old


async def test_a_plan_yields_to_a_callback_that_came_meanwhile(database: Database) -> None:
    task = a_task(status=TaskStatus.WAITING, vidgo_id="VG1", rereads=2)
    await add(database, [task])
    async with database.write() as transaction:
        with pytest.raises(Gone):
            await tasks.plan(transaction, task.id, LATER, rereads=1)
        planned = await tasks.plan(transaction, task.id, LATER, rereads=2)
    assert (planned.poll_at, planned.polls, planned.rereads) == (LATER, 1, 1)


async def test_that_a_task_takes_longer_is_noted_once(database: Database) -> None:
    task = in_status(TaskStatus.WAITING)
    await add(database, [task])
    async with database.write() as transaction:
        await tasks.late(transaction, task.id, NOW)
        with pytest.raises(Gone):
            await tasks.late(transaction, task.id, LATER)
    assert (await one(database, task.id)).late_at == NOW


async def test_a_bad_word_counts_from_its_first_time_on_as_long_as_it_is_repeated(database: Database) -> None:
    task = a_task(status=TaskStatus.WAITING)
    await add(database, [task])
    async with database.write() as transaction:
        first = await tasks.doubt(transaction, task, "unknown", NOW, repeated=False)
        again = await tasks.doubt(transaction, first, "unknown", LATER, repeated=True)
        another = await tasks.doubt(transaction, again, "time", LATER, repeated=False)
        trusted = await tasks.trust(transaction, another)
    said = [(one.doubt, one.doubt_since, one.doubt_at, one.doubts) for one in (first, again, another, trusted)]
    assert said == [
        ("unknown", NOW, NOW, 1),
        ("unknown", NOW, LATER, 2),
        ("time", LATER, LATER, 1),
        (None, None, None, 0),
    ]


READ: dict[str, Callable[..., Awaitable[Task]]] = {
    "doubt": lambda transaction, task: tasks.doubt(transaction, task, "no_files", LATER, repeated=True),
    "trust": tasks.trust,
    "fail": lambda transaction, task: tasks.fail(transaction, task, "no_files", None, LATER),
    "give up": lambda transaction, task: tasks.give_up(transaction, task, "time", None, LATER),
}


@pytest.mark.parametrize("what", list(READ))
@pytest.mark.parametrize("since", ["rung", "said once more", "taken back"])
async def test_what_was_read_before_a_callback_or_by_another_changes_nothing(
    database: Database, what: str, since: str
) -> None:
    read = a_task(status=TaskStatus.WAITING, vidgo_id="VG1", doubt="no_files", doubt_since=NOW, doubt_at=NOW, doubts=2)
    await add(database, [read])
    async with database.write() as transaction:
        if since == "rung":
            now = await tasks.ring(transaction, read.id, "VG1", NOW, 3, is_finished=True, is_answering=False)
        elif since == "said once more":
            now = await tasks.doubt(transaction, read, "no_files", NOW + 1, repeated=True)
        else:
            now = await tasks.trust(transaction, read)
    async with database.write() as transaction:
        with pytest.raises(Gone):
            await READ[what](transaction, read)
    assert await one(database, read.id) == now


async def test_what_was_paid_twice_lives_twice(database: Database) -> None:
    lost = a_task(status=TaskStatus.GIVEN_UP, order_key="same", error_kind="lost")
    again = a_task(status=TaskStatus.WAITING, order_key="same", vidgo_id="VG2")
    await add(database, [lost, again])
    with pytest.raises(IntegrityError):
        async with database.write() as transaction:
            await tasks.ring(transaction, lost.id, "VG1", NOW, 3, is_finished=True, is_answering=False)
    async with database.write() as transaction:
        rung = await tasks.ring(transaction, lost.id, "VG1", NOW, 3, is_finished=True, is_answering=False, beside=True)
    assert (rung.status, rung.vidgo_id, rung.order_key) == (TaskStatus.WAITING, "VG1", None)
    assert await one(database, again.id) == again


async def test_a_finished_task_has_no_error_and_no_bad_word_and_keeps_its_id(database: Database) -> None:
    ended = a_task(status=TaskStatus.GIVEN_UP, vidgo_id="VG1", error_kind="time", error="?", doubt="time", doubts=3)
    unnamed = a_task(status=TaskStatus.SUBMITTING)
    await add(database, [ended, unnamed])
    async with database.write() as transaction:
        one_finished = await tasks.finish(transaction, ended.id, "VG9", NOW)
        other = await tasks.finish(transaction, unnamed.id, "VG2", NOW)
    assert (one_finished.error_kind, one_finished.error, one_finished.doubt, one_finished.doubts) == (
        None,
        None,
        None,
        0,
    )
    assert (one_finished.vidgo_id, other.vidgo_id) == ("VG1", "VG2")


@pytest.mark.parametrize(
    ("tries", "before"), [(2, 1), (0, 0)], ids=["which had no room for it", "which takes it, most likely"]
)
async def test_places_in_line_stay_while_vidgo_is_asked_again_about_the_first(
    database: Database, tries: int, before: int
) -> None:
    first = a_task(id=new_id(NOW), status=TaskStatus.SUBMITTING, tries=tries)
    second, third = (a_task(id=new_id(NOW + place), tries=1) for place in (1, 2))
    await add(database, [first, second, third])
    async with database.read() as snapshot:
        line = await tasks.in_line(snapshot, 9)
        assert line == [(second.id, before + 1, True), (third.id, before + 2, True)]
        assert not await tasks.is_held_up(snapshot, second.id)
        assert await tasks.is_held_up(snapshot, third.id)
        assert await tasks.ahead_of(snapshot, second.id) == before
        assert await tasks.ahead_of(snapshot, third.id) == before + 1


@pytest.mark.parametrize("shared", [True, False])
async def test_what_came_of_a_request_counts_once(database: Database, shared: bool) -> None:
    """A word that is noted again after its commit was lost puts nothing back that was sent again since."""
    row = in_status(TaskStatus.QUEUED)
    await add(database, [row])
    async with database.write() as transaction:
        sent = await tasks.submit(transaction, row.id, NOW, LATER)
        await tasks.hold(transaction, sent, NOW, shared=shared)
        again = await tasks.submit(transaction, row.id, NOW, LATER)
        await tasks.unanswered(transaction, again, LATER)
    for note in (partial(tasks.hold, shared=shared), tasks.unanswered):
        async with database.write() as transaction:
            with pytest.raises(Gone):
                await note(transaction, sent, LATER)
    assert (await one(database, row.id)).status is TaskStatus.SUBMITTING
