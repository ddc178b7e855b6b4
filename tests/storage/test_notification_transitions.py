"""What is particular about single transitions of notifications."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage import notifications
from storage.database import Database
from storage.planned import Gone
from storage.schema import Acknowledgement, NotificationState, TaskStatus
from storage.wakeups import Queue
from tests.storage.rows import NOW, a_notification, add, in_state, in_status, one

LATER = NOW + 60


async def test_an_interaction_that_arrives_twice_is_one(database: Database) -> None:
    await add(database, [a_notification(interaction_id=5)])
    with pytest.raises(Gone):
        await add(database, [a_notification(interaction_id=5)])
    await add(database, [a_notification(interaction_id=None), a_notification(interaction_id=None)])


async def test_nothing_is_ordered_twice_for_an_interaction_nor_after_it_was_called_abandoned(
    database: Database,
) -> None:
    task, tied, abandoned = in_status(TaskStatus.QUEUED), a_notification(), a_notification()
    await add(database, [task, tied, abandoned])
    async with database.write() as transaction:
        await notifications.tie(transaction, tied.id, task.id)
        await notifications.abandon(transaction, abandoned.id)
        with pytest.raises(Gone):
            await notifications.tie(transaction, tied.id, task.id)
        with pytest.raises(Gone):
            await notifications.tie(transaction, abandoned.id, task.id)
        with pytest.raises(Gone):
            await notifications.abandon(transaction, tied.id)


@pytest.mark.parametrize("status", [None, *TaskStatus])
@pytest.mark.parametrize("later", [False, True])
async def test_what_is_acknowledged_waits_for_its_task_or_is_due_where_that_has_ended(
    database: Database, status: TaskStatus | None, later: bool
) -> None:
    tied = [] if status is None else [in_status(status)]
    row = a_notification(task_id=tied[0].id if tied else None)
    await add(database, [*tied, row])
    async with database.write() as transaction:
        said = await notifications.acknowledge(transaction, row.id, None if later else 7, NOW, later=later)
        woken = transaction.woken
    ended = status is None or status.is_final
    assert (said.state, said.attempt_at) == (
        (NotificationState.DUE, NOW) if ended else (NotificationState.WAITING, None)
    )
    assert (said.ack_message_id, said.ack_wanted) == ((None, Acknowledgement.ORDERED) if later else (7, None))
    assert woken == ({Queue.DELIVERY} if ended else set()) | ({Queue.ACKNOWLEDGEMENTS} if later else set())
    assert said.interaction_token == "secret"


async def test_a_notification_waits_again_only_for_a_task_that_lives(database: Database) -> None:
    task = in_status(TaskStatus.FAILED)
    row = in_state(NotificationState.DUE, task)
    await add(database, [task, row])
    async with database.write() as transaction:
        with pytest.raises(Gone):
            await notifications.wait_again(transaction, row.id)
    assert await one(database, row.id) == row


@pytest.mark.parametrize("seen", [None, 7])
async def test_a_token_is_kept_until_the_acknowledgement_says_the_last_word(
    database: Database, seen: int | None
) -> None:
    task = in_status(TaskStatus.FINISHED)
    wanted = replace(in_state(NotificationState.DUE, task), ack_message_id=seen)
    silent = replace(in_state(NotificationState.DUE, task), ack_message_id=None, ack_wanted=None)
    await add(database, [task, wanted, silent])
    async with database.write() as transaction:
        ended = await notifications.delivered(transaction, wanted.id, 8, NOW, Acknowledgement.DONE)
        quiet = await notifications.delivered(transaction, silent.id, 9, NOW, Acknowledgement.DONE)
        assert (ended.interaction_token, ended.ack_wanted) == ("secret", Acknowledgement.DONE)
        assert (quiet.interaction_token, quiet.ack_wanted) == (None, None)
        await notifications.shown(
            transaction, wanted.id, Acknowledgement.ORDERED, 7
        )  # too late: something else is wanted
        assert await notifications.get(transaction, wanted.id) == ended
        await notifications.shown(transaction, wanted.id, Acknowledgement.DONE, 7)
    shown = await one(database, wanted.id)
    assert (shown.interaction_token, shown.ack_wanted, shown.ack_message_id) == (None, None, 7)


async def test_an_acknowledgement_that_does_not_exist_is_not_to_be_changed(database: Database) -> None:
    task = in_status(TaskStatus.WAITING)
    row = replace(in_state(NotificationState.WAITING, task), ack_message_id=None, ack_wanted=None)
    await add(database, [task, row])
    async with database.write() as transaction:
        await notifications.want(transaction, task.id, Acknowledgement.LATE)
    assert await one(database, row.id) == row


async def test_everybody_who_waits_for_a_task_is_told_at_once_and_nobody_else(database: Database) -> None:
    task, other = in_status(TaskStatus.WAITING), in_status(TaskStatus.WAITING)
    waiting = [in_state(NotificationState.WAITING, task) for _ in range(3)]
    others = [in_state(NotificationState.WAITING, other), in_state(NotificationState.ASKED, task)]
    await add(database, [task, other, *waiting, *others])
    async with database.write() as transaction:
        assert await notifications.make_due(transaction, task.id, NOW) == 3
        assert await notifications.make_due(transaction, task.id, NOW) == 0
    assert [await one(database, row.id) for row in others] == others


async def test_who_was_told_badly_is_told_again_in_a_row_of_its_own(database: Database) -> None:
    task = in_status(TaskStatus.FINISHED)
    told = [in_state(NotificationState.DELIVERED, task), in_state(NotificationState.UNDELIVERABLE, task)]
    await add(database, [task, *told])
    async with database.write() as transaction:
        await notifications.tell_again(transaction, task.id, LATER)
        due = await notifications.claim(transaction, LATER, LATER + 60, (), 10)
    assert len(due) == 2
    again = await one(database, due[0].id)
    kept = ("task_id", "position", "user_id", "guild_id", "channel_id", "application_id", "ack_message_id", "locale")
    assert [getattr(again, name) for name in kept] == [getattr(told[0], name) for name in kept]
    assert (again.interaction_id, again.interaction_token, again.message_id) == (None, None, None)
    assert (again.attempts, again.sent_at, again.created_at) == (0, None, LATER)
    # What their acknowledgements were to say is not true any more.
    assert [await one(database, row.id) for row in told] == [replace(row, ack_wanted=None) for row in told]


async def test_what_its_requester_alone_sees_is_still_told_of_a_bad_end(database: Database) -> None:
    """No other row leads to it."""
    task = in_status(TaskStatus.FINISHED)
    told = replace(in_state(NotificationState.DELIVERED, task), ephemeral=True, interaction_token="secret")
    await add(database, [task, told])
    async with database.write() as transaction:
        await notifications.tell_again(transaction, task.id, LATER)
    assert await one(database, told.id) == told


async def test_tries_to_post_are_counted_once_each_and_the_first_is_remembered(database: Database) -> None:
    task = in_status(TaskStatus.FINISHED)
    row = in_state(NotificationState.DUE, task)
    await add(database, [task, row])
    async with database.write() as transaction:
        unsent = await notifications.postpone(transaction, row.id, NOW, "503")
        sent = await notifications.send(transaction, row.id, NOW, LATER)
        failed = await notifications.postpone(transaction, row.id, NOW, "503")
        again = await notifications.send(transaction, row.id, LATER, LATER)
    assert [one.attempts for one in (unsent, sent, failed, again)] == [1, 2, 2, 3]
    assert [one.sent_at for one in (unsent, sent, failed, again)] == [None, NOW, NOW, NOW]


async def test_a_file_that_comes_later_is_news_once(database: Database) -> None:
    task = in_status(TaskStatus.FINISHED)
    row = replace(in_state(NotificationState.DUE, task), ack_wanted=None)
    await add(database, [task, row])
    async with database.write() as transaction:
        silent = await notifications.fetch_later(transaction, row, LATER, "{}", None)
        news = await notifications.fetch_later(
            transaction, replace(row, upload_limit=5), LATER, "{}", Acknowledgement.NOT_YET
        )
    assert (silent.ack_wanted, silent.upload_limit) == (None, row.upload_limit)
    assert (news.ack_wanted, news.upload_limit, news.failures) == (Acknowledgement.NOT_YET, 5, "{}")


async def test_what_is_not_old_enough_does_not_expire(database: Database) -> None:
    old, young = (a_notification(state=NotificationState.ANSWERED, created_at=at) for at in (NOW - 1, NOW))
    await add(database, [old, young])
    async with database.write() as transaction:
        assert await notifications.expire(transaction, NOW) == 1
    assert (await one(database, old.id), await one(database, young.id)) == (None, young)
