"""The audit notices each kind of damage, and excuses only what it must."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from sandbox.discord.state.messages import delete_message
from tests.faults import forging
from tests.faults.audit import audit
from tests.faults.audit.conditions import INTENT_SECONDS, KNOWN_SECONDS
from tests.faults.harness import Stage, open_stage
from tests.faults.orders import Order

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.faults.audit import Kind, Verdict
    from tests.faults.program import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORDERS = 70

INTERRUPTED = "I was interrupted before I could do that. No credits were used; please try again."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """What a program has left that nothing disturbed: songs, and one sentence."""
    directory, patient = (
        tmp_path_factory.mktemp("sound"),
        {"TASK_TIMEOUT_SECONDS": "600", "TASK_GIVE_UP_SECONDS": "600"},
    )
    async with open_stage(nursery, directory, channels=10, settings=patient) as stage:
        for number in range(ORDERS):
            await stage.generate()
            if number % 10 == 0:
                await stage.settle()
        await stage.refused()
        await stage.settle()
        assert (await audit(stage)).damages == []
        await stage.program.stop()
        stage.program.ends.clear()  # as if it still were there, and told nobody anything
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


DAMAGES: list[tuple[Kind, Callable[[Stage, Order], None]]] = [
    ("lost", forging.post_is_gone),
    ("lost", forging.given_up),
    ("lost", forging.task_is_forgotten),
    ("lost", forging.paid_for_nothing),
    ("lost", forging.never_made),
    ("twice", forging.posted_twice),
    ("twice", forging.told_besides),
    ("twice", forging.told_without_acknowledgement),
    ("twice", forging.ordered_twice),
    ("paid twice", forging.submitted_twice),
    ("paid twice", forging.charged_twice),
    ("left thinking", forging.still_thinking),
    ("left behind", forging.still_sending),
    ("left behind", forging.token_is_kept),
    ("left behind", forging.acknowledgement_is_stale),
    ("left behind", forging.task_lives_on),
    ("left behind", forging.notification_is_gone),
    ("half file", forging.archive_is_cut_off),
    ("half file", forging.archive_lacks_a_file),
    ("half file", forging.archive_has_a_part),
    ("falsehood", forging.called_in_doubt),
    ("falsehood", forging.called_in_doubt_after_hanging_up),
    ("falsehood", forging.called_in_doubt_and_known),
    ("falsehood", forging.called_in_doubt_unsent),
    ("falsehood", forging.ordered_after_all),
    ("falsehood", forging.file_called_gone),
    ("falsehood", forging.file_called_gone_at_once),
    ("falsehood", forging.file_called_gone_in_an_outage),
    ("falsehood", forging.music_called_none),
    ("falsehood", forging.not_made_but_posted),
    ("falsehood", forging.done_nowhere),
    ("falsehood", forging.done_without_a_file),
    ("falsehood", forging.promised_for_yesterday),
    ("falsehood", forging.made_before_it_was_asked_for),
    ("falsehood", forging.private_in_an_open_channel),
    ("falsehood", forging.unfinished_although_finished),
    ("falsehood", forging.no_words_of_the_bots),
    ("falsehood", forging.waited_for_its_turn),
    ("falsehood", forging.promises_what_is_cancelled),
    ("held up", forging.came_late),
    ("held up", forging.doubt_is_told_to_nobody),
    ("held up", forging.trouble_is_told_to_nobody),
    ("lost", forging.due_and_not_there),
    ("lost", forging.archive_lost_a_file),
    ("lost", forging.never_archived),
    ("spinning", forging.worked_on_in_vain),
    ("spinning", forging.edited_in_vain),
    ("spinning", forging.read_in_vain),
    # What was forgotten excuses what is missing afterwards, so it comes last.
    ("remembered", forging.remembered),
    ("remembered", forging.addressed_after_all),
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
    forging.whisper(refused, INTERRUPTED)
    verdict = await audit(stage)
    verdict.subtract(before)
    assert verdict.damages == []
    assert verdict.repeated == 1
    forging.whisper(refused, INTERRUPTED)
    verdict = await audit(stage)
    verdict.subtract(before)
    assert list(verdict.kinds) == ["twice"]


async def test_what_was_taken_back_in_private_is_no_falsehood(stage: Stage, before: Verdict, order: Order) -> None:
    forging.whisper(order, forging.NOT_MADE)
    verdict = await audit(stage)
    verdict.subtract(before)
    assert "falsehood" in verdict.kinds
    delete_message(order.call.followups[-1])
    verdict = await audit(stage)
    verdict.subtract(before)
    assert verdict.damages == []


async def test_hearts_and_pictures_are_held_against_what_was_pressed(
    stage: Stage, before: Verdict, order: Order
) -> None:
    call = order.call  # any of its member's will do
    assert not call.updated
    stage.pressed.append((order, 0, call))  # the program may have died on the way
    verdict = await audit(stage)
    verdict.subtract(before)
    assert verdict.damages == []
    call.updated = True
    verdict = await audit(stage)
    verdict.subtract(before)
    assert set(verdict.kinds) == {"lost", "falsehood"}  # no like is noted, and none is shown
    stage.pressed[-1] = (order, 2, call)
    verdict = await audit(stage)
    verdict.subtract(before)
    assert list(verdict.kinds) == ["falsehood"]  # nothing is shown as chosen
    stage.pressed.clear()


async def test_a_post_is_never_excused(stage: Stage, before: Verdict, order: Order) -> None:
    order.untold = 5
    forging.posted_twice(stage, order)
    verdict = await audit(stage)
    verdict.subtract(before)
    assert set(verdict.kinds) == {"twice", "falsehood"}  # there is no music in the second one


async def test_what_was_paid_and_never_confirmed_is_counted_apart(stage: Stage, before: Verdict, order: Order) -> None:
    query = "UPDATE tasks SET status = 'given_up', error_kind = 'lost', vidgo_id = NULL WHERE user_id = ?"
    forging.change(stage, query, order.member.id)
    verdict = await audit(stage)
    verdict.subtract(before)
    assert verdict.damages == []
    assert verdict.unconfirmed == 1


@pytest.mark.parametrize(
    ("is_gone", "by", "is_true"),
    [
        (True, -0.01, True),  # what was in the buffers of one that was dead, and known to be
        (False, -0.01, False),  # whoever sent it lived after that death
        (False, 0.01, True),  # it may not have come to note the answer
        (True, 0.01, True),
        (False, KNOWN_SECONDS + 1, False),  # time enough
        (True, -3600.0, False),  # that was before anybody asked for it
    ],
)
async def test_an_order_that_vidgo_answered_is_in_doubt_only_where_nobody_heard_it(
    stage: Stage, before: Verdict, order: Order, *, is_gone: bool, by: float, is_true: bool
) -> None:
    read_at = forging.hung_up(stage, order, is_gone=is_gone)
    stage.program.ends.append(read_at + by)
    forging.whisper(order, forging.IN_DOUBT)
    verdict = await audit(stage)
    stage.program.ends.clear()
    order.call.followups.pop()
    verdict.subtract(before)
    assert any("had confirmed" in damage.what for damage in verdict.damages) is not is_true


async def test_doubts_are_believed_for_a_few_orders_at_a_death(
    stage: Stage, before: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(stage.program.settings, "VIDGO_REQUESTS_PER_SECOND", "4")
    orders = [one for one in stage.orders if one.kind == "generate" and one.member.name not in TOUCHED]
    sent_at = stage.time.now() - 100
    for order in orders[:4]:
        forging.never_sent(stage, order, sent_at)
        forging.whisper(order, forging.IN_DOUBT)
    stage.program.ends.append(sent_at + INTENT_SECONDS / 2)
    verdict = await audit(stage)
    verdict.subtract(before)
    assert not any("in doubt" in damage.what for damage in verdict.damages)
    assert not any("never sent" in damage.what for damage in verdict.damages)
    forging.never_sent(stage, orders[4], sent_at)
    forging.whisper(orders[4], forging.IN_DOUBT)
    verdict = await audit(stage)
    verdict.subtract(before)
    assert any("in doubt" in damage.what for damage in verdict.damages)
