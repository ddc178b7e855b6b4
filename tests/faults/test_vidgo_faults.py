"""Whatever VidGo does, each request ends once, and nothing is paid twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from sandbox.vidgo.records import CallbackFaults
from tests.faults.audit import assert_sound
from tests.faults.crashing import Launch
from tests.faults.harness import Stage, open_stage
from tests.faults.members import finished
from tests.faults.orders import COVER, SONG, Order
from tests.faults.passing import pass_time, settle_in_time
from tests.faults.troubles.playing import PATIENT, due

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sandbox.vidgo.files import FileKind
    from tests.faults.program import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 1.5
"""Seconds that the program waits for VidGo here, instead of 30."""

HASTY = Launch("", patience=PATIENCE, fetching=PATIENCE)
PASSING = Launch("", passing=True)


@pytest_asyncio.fixture(loop_scope="module")
async def calling(nursery: Nursery, tmp_path: Path) -> AsyncIterator[Stage]:
    """A program that VidGo calls back, audited at the end."""
    async with open_stage(nursery, tmp_path, launch=HASTY) as stage:
        yield stage
        await assert_sound(stage)


@pytest_asyncio.fixture(loop_scope="module")
async def polling(nursery: Nursery, tmp_path: Path) -> AsyncIterator[Stage]:
    """A program that has to ask, audited at the end."""
    async with open_stage(nursery, tmp_path, callbacks=False, launch=HASTY) as stage:
        yield stage
        await assert_sound(stage)


async def ending(stage: Stage, order: Order) -> str:
    """Return the one thing that a member was told in the end."""
    await stage.settle()
    [message] = [*stage.posts(order), *order.sentences]
    return message.content


def submitted(stage: Stage, order: Order) -> int:
    """Return how often a song's cover was asked of VidGo."""
    return sum(one.model == COVER and one.input == {"task_id": order.key} for one in stage.vidgo.submissions)


# The answer to the order


@pytest.mark.parametrize("kind", ["lose_answer_after", "broken_json", "trickle"])
async def test_a_lost_answer_is_made_good_by_the_callback(calling: Stage, kind: Any) -> None:
    calling.vidgo.fault("submit", kind, seconds=PATIENCE * 20)
    order = await calling.cover(calling.song())
    assert "New artwork" in await ending(calling, order)
    assert submitted(calling, order) == 1


@pytest.mark.parametrize("kind", ["lose_answer_after", "broken_json", "trickle"])
async def test_without_callbacks_a_lost_answer_is_told_and_never_repeated(polling: Stage, kind: Any) -> None:
    polling.vidgo.fault("submit", kind, seconds=PATIENCE * 20)
    order = await polling.generate()
    assert "never confirmed the order" in await ending(polling, order)
    verdict = await assert_sound(polling)
    assert len(polling.vidgo.submissions) == verdict.unconfirmed == 1


@pytest.mark.parametrize("kind", ["lose_answer_before", "hang", "html", "status"])
async def test_an_order_that_never_arrived_is_told_and_never_repeated(polling: Stage, kind: Any) -> None:
    polling.vidgo.fault("submit", kind)
    order = await polling.generate()
    assert "never confirmed the order" in await ending(polling, order)
    assert len(polling.vidgo.submissions) == 1
    assert polling.vidgo.charged == []


async def test_an_order_that_vidgo_reads_only_after_the_death_of_its_sender_was_never_confirmed(polling: Stage) -> None:
    waits = polling.vidgo.fault("submit", "unread")
    order = await polling.generate()
    await polling.vidgo.wait_fault(waits)
    polling.program.kill()
    await polling.died()
    assert polling.vidgo.submissions == []
    waits.goes_on.set()
    read = await polling.vidgo.wait_submission()
    assert read.at > polling.ends()[-1]
    await polling.recover()
    assert "never confirmed the order" in await ending(polling, order)
    verdict = await assert_sound(polling)
    assert len(polling.vidgo.submissions) == verdict.unconfirmed == 1


@pytest.mark.parametrize("kind", ["lose_answer_before", "lose_answer_after", "status"])
async def test_the_order_of_a_cover_is_sent_again_as_it_is_paid_once(
    nursery: Nursery, tmp_path: Path, kind: Any
) -> None:
    async with open_stage(nursery, tmp_path, callbacks=False, launch=PASSING, settings=PATIENT) as stage:
        stage.vidgo.duplicate_style = "409_id"
        stage.vidgo.fault("submit", kind)
        order = due(await stage.cover(stage.song()))
        await settle_in_time(stage, 300)
        await assert_sound(stage)
        assert submitted(stage, order) == 2
        assert len(stage.vidgo.charged) == 1


async def test_what_could_not_be_sent_for_sure_is_sent_later(nursery: Nursery, tmp_path: Path) -> None:
    launch = Launch("", clock=True)
    async with open_stage(nursery, tmp_path, launch=launch, settings={"TASK_TIMEOUT_SECONDS": "60"}) as stage:
        song = stage.song()
        member = await stage.bring_in(song)
        await stage.vidgo.go_offline()
        order = await stage.cover(song, member=member)
        await stage.until(lambda: order.public is not None and "has not taken" in order.public.content, "held up order")
        await stage.vidgo.go_online()
        await stage.program.stop()
        stage.program.set_clock(31)  # the next try comes after 15 to 30 s
        await stage.program.start()
        assert "New artwork" in await ending(stage, order)
        assert submitted(stage, order) == 1
        await assert_sound(stage)


@pytest.mark.parametrize("kind", ["busy_retry_after", "busy_text"])
async def test_too_fast_with_a_hint_waits_as_long_as_asked(polling: Stage, kind: Any) -> None:
    polling.vidgo.fault("submit", kind, seconds=1.0, times=2)
    order = await polling.cover(polling.song())
    assert "New artwork" in await ending(polling, order)
    assert submitted(polling, order) == 3


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("no_credits_429", {}, "run out of credits"),
        ("status", {"status": 402}, "run out of credits"),
        ("status", {"status": 403}, "does not let this bot in"),
        ("status", {"status": 422}, "did not accept"),
    ],
)
async def test_a_refused_order_is_explained(polling: Stage, kind: Any, options: dict[str, Any], words: str) -> None:
    polling.vidgo.fault("submit", kind, **options)
    order = await polling.cover(polling.song())
    assert words in await ending(polling, order)
    assert submitted(polling, order) == 1


# Reading the result


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("status", {"status": 500}),
        ("status", {"status": 503}),
        ("hang", {}),
        ("trickle", {"seconds": PATIENCE * 20}),
        ("lose_answer_after", {}),
        ("broken_json", {}),
        ("html", {}),
        ("unknown_status", {}),
        ("error_in_200", {}),
        ("busy_plain", {}),
        ("busy_retry_after", {"seconds": 0.5}),
        ("busy_text", {"seconds": 0.5}),
    ],
)
async def test_a_result_that_cannot_be_read_is_read_again(polling: Stage, kind: Any, options: dict[str, Any]) -> None:
    order = await polling.waiting_cover()
    polling.vidgo.fault("detail", kind, times=2, **options)
    polling.vidgo.release(COVER)
    assert "New artwork" in await ending(polling, order)


async def test_tasks_that_stay_finished_without_files_are_explained(nursery: Nursery, tmp_path: Path) -> None:
    async with open_stage(nursery, tmp_path, launch=PASSING, settings=PATIENT) as stage:
        orders = []
        for shape in ("no_files", "null_files", "missing_files", "generate_cover_empty"):
            stage.vidgo.set_result(COVER, shape, times=1)
            orders.append(await stage.cover(stage.song()))
            await finished(stage, 2 * len(orders))  # each with its song
        await settle_in_time(stage, 900)
        for order in orders:
            assert "delivered no file" in await ending(stage, order)
        await assert_sound(stage)


async def test_the_detail_lags_behind_the_callback(calling: Stage) -> None:
    calling.vidgo.detail_lag = 1.5
    order = await calling.cover(calling.song())
    assert "New artwork" in await ending(calling, order)


async def test_the_detail_does_not_know_the_task_at_first(polling: Stage) -> None:
    polling.vidgo.detail_unknown_for = 1.0
    order = await polling.generate()
    assert "your song" in await ending(polling, order)


# Callbacks


@pytest.mark.parametrize(
    "faults",
    [
        CallbackFaults(before_answer=True),
        CallbackFaults(repeat=3),
        CallbackFaults(delay=1.5),
        CallbackFaults(stages=True, out_of_order=True),
        CallbackFaults(wrong_task=True),
        CallbackFaults(never=True),
    ],
    ids=["before the answer", "three times", "late", "out of order", "wrong task", "never"],
)
async def test_callbacks_go_wrong(calling: Stage, faults: CallbackFaults) -> None:
    calling.vidgo.callback_faults = faults
    order = await calling.cover(calling.song())
    assert "New artwork" in await ending(calling, order)
    song = await calling.generate()
    assert "your song" in await ending(calling, song)


async def test_a_callback_for_another_task_changes_nothing(calling: Stage) -> None:
    first, second = await calling.waiting_cover(), await calling.waiting_cover()
    by_key = {one.input["task_id"]: calling.vidgo.tasks[str(one.task_id)] for one in calling.vidgo.accepted(COVER)}
    calling.vidgo.finish(by_key[second.key])
    forged = calling.vidgo.sender.body(calling.vidgo.final_payload(by_key[second.key]))
    assert await calling.vidgo.send_callback(by_key[first.key], forged) == 400
    await calling.until(lambda: bool(calling.posts(second)), "second result")
    assert calling.posts(first) == []
    calling.vidgo.release(COVER)
    assert "New artwork" in await ending(calling, first)


async def test_a_callback_before_the_lost_answer_counts(calling: Stage) -> None:
    calling.vidgo.callback_faults = CallbackFaults(before_answer=True)
    calling.vidgo.fault("submit", "lose_answer_after")
    order = await calling.cover(calling.song())
    assert "New artwork" in await ending(calling, order)
    assert submitted(calling, order) == 1


async def test_a_callback_after_the_end_changes_nothing(calling: Stage) -> None:
    order = await calling.cover(calling.song())
    assert "New artwork" in await ending(calling, order)
    [submission] = calling.vidgo.accepted(COVER)
    task = calling.vidgo.tasks[str(submission.task_id)]
    failed = calling.vidgo.sender.body({"task_id": task.id, "status": "failed", "files": [], "error_message": "no"})
    assert await calling.vidgo.send_callback(task, failed) == 200
    assert "New artwork" in await ending(calling, order)


# The account


async def test_the_key_is_revoked_while_tasks_run_and_renewed(polling: Stage) -> None:
    order = await polling.waiting_cover()
    polling.vidgo.revoke_key()
    polling.vidgo.release(COVER)
    seen = len(polling.vidgo.requests)
    await polling.vidgo.wait_request(lambda one: one.status == 401, after=seen)
    refused = await polling.generate()
    await polling.until(lambda: bool(refused.sentences), "sentence")
    assert "does not let this bot in" in refused.sentences[0].content
    polling.vidgo.revoked = False
    assert "New artwork" in await ending(polling, order)


async def test_the_credits_run_out_while_tasks_run(polling: Stage) -> None:
    order = await polling.waiting_cover()
    polling.vidgo.credits = 1
    refused = await polling.generate()
    assert "run out of credits" in await polling_end(polling, refused)
    polling.vidgo.release(COVER)
    assert "New artwork" in await ending(polling, order)


async def polling_end(stage: Stage, order: Order) -> str:
    """Return the sentence that ends an order while others go on."""
    await stage.until(lambda: bool(order.sentences), "sentence")
    return order.sentences[0].content


# Files


async def test_audio_that_can_never_be_had_is_explained(nursery: Nursery, tmp_path: Path) -> None:
    async with open_stage(nursery, tmp_path, launch=PASSING, settings=PATIENT) as stage:
        orders = []
        kinds: tuple[FileKind, ...] = ("not_found", "empty", "html", "disguised")
        for kind in kinds:
            stage.vidgo.set_song_files(kind, model=SONG, times=1)
            orders.append(await stage.generate())
            await finished(stage, len(orders))
        await settle_in_time(stage, 1200)
        await pass_time(stage, 2 * 86400, lambda: stage.unsettled() is None, step=1800)
        for order in orders:
            assert "your song" not in await ending(stage, order)
        await assert_sound(stage)


@pytest.mark.parametrize("kind", ["lose_answer_before", "hang", "trickle", "status"])
async def test_audio_that_does_not_come_at_once_comes_later(polling: Stage, kind: Any) -> None:
    polling.vidgo.fault("files", kind, times=2, seconds=PATIENCE * 20)
    order = await polling.generate()
    assert "your song" in await ending(polling, order)
