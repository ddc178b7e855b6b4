"""Answers to interactions, so that no member is ever left "thinking…".

Each command that takes longer than an instant is noted before Discord gets its first answer, and becomes a notification
in the state `asked` right after it. Whatever dies in between, somebody finds it and tells the member.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Any

import aiohttp
import discord
from sqlalchemy.exc import SQLAlchemyError

from bot.songs.orders import Ordered, Requester
from bot.tasks.life import Tasks
from bot.tasks.schedule import Schedule
from bot.words import cards, errors, waiting
from bot.words.errors import MemberError
from bot.words.text import Text, speak
from storage import notifications
from storage import tasks as rows
from storage.database import Database
from storage.ids import new_id
from storage.notifications import Notification
from storage.schema import NotificationState, TaskStatus
from storage.sqlite.journal import Journal
from storage.tasks import Task

log = logging.getLogger(__name__)

TOKEN_SECONDS = 15 * 60
"""How long Discord keeps an interaction's token."""

ANSWER_SECONDS = 300.0
"""When an interaction that nobody finished is picked up by the delivery worker."""

COURTESY_SECONDS = 0.5
"""How long the work for a member waits while others still wait for their first answer."""

ALREADY_ACKNOWLEDGED = 40060

SOONEST_SECONDS = 10.0
"""No result is promised sooner than this."""

_NEEDED = ("view_channel", "send_messages", "embed_links", "attach_files", "read_message_history")
_GONE = (discord.NotFound, discord.Forbidden)


class Asked:
    """One interaction on its way to an answer."""

    def __init__(self, interaction: discord.Interaction, notification_id: str) -> None:
        self.interaction = interaction
        self.notification_id = notification_id
        self.problem: Exception | None = None

    @property
    def requester(self) -> Requester:
        """Who asks; raises what stands in the way of doing anything for them."""
        if self.problem is not None:
            raise self.problem
        return Requester(self.interaction.user.id, self.interaction.guild_id, self.notification_id)

    async def answer(self, text: str, view: discord.ui.View | None = None, **options: Any) -> int | None:
        """Replace "thinking…" by a message and return its id, or None where the member has deleted it."""
        try:
            message = await self.interaction.edit_original_response(
                content=text, view=view, allowed_mentions=discord.AllowedMentions.none(), **options
            )
        except _GONE:
            return None
        return message.id


class Interactions:
    """Writes interactions down, acknowledges them and sees that each gets an answer."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        tasks: Tasks,
        schedule: Schedule,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._journal = journal
        self._unanswered = 0
        self._all_answered = asyncio.Event()
        self._tasks = tasks
        self._schedule = schedule
        self._clock = clock

    @asynccontextmanager
    async def asked(self, interaction: discord.Interaction, *, ephemeral: bool) -> AsyncIterator[Asked]:
        """Acknowledge an interaction, and tell the member privately when the body raises.

        `MemberError` becomes its sentence, anything else a reference into the log.
        """
        speak(str(interaction.locale))  # discord.py gives each interaction an asyncio task of its own
        notification_id = new_id(self._clock())
        asked = Asked(interaction, notification_id)
        row = _row(interaction, notification_id, ephemeral=ephemeral, now=self._clock())
        try:
            self._note(row)
            await self._answer_first(interaction, ephemeral=ephemeral)
        except Exception:
            # It may have arrived all the same: the delivery asks Discord, and says what can be said.
            with suppress(SQLAlchemyError):
                await self._record(row)
                await self._leave_open(notification_id)
            raise
        try:
            await self._record(row)
            if not ephemeral:
                _check_permissions(interaction)
        except Exception as error:  # a context manager cannot skip its body, so the body meets it at its first step
            asked.problem = error
        try:
            yield asked
        except MemberError as error:
            await self._say(asked, error.text, ephemeral=ephemeral)
        except Exception:
            log.exception("interaction %s failed", notification_id)
            if not await self._is_ordered(notification_id):
                await self._say(asked, errors.internal_error(notification_id), ephemeral=ephemeral)
        else:
            if ephemeral:
                await self.close(notification_id)

    @asynccontextmanager
    async def updating(self, interaction: discord.Interaction) -> AsyncIterator[Asked]:
        """Acknowledge a button whose message the body changes; nothing shows "thinking…", so nothing is written down.

        An error is told privately, as in `asked`.
        """
        speak(str(interaction.locale))
        reference = new_id(self._clock())
        await interaction.response.defer()
        text = None
        try:
            yield Asked(interaction, reference)
        except MemberError as error:
            text = error.text
        except Exception:
            log.exception("interaction %s failed", reference)
            text = errors.internal_error(reference)
        if text is None:
            return
        with suppress(*_GONE):
            await interaction.followup.send(str(text), ephemeral=True, allowed_mentions=discord.AllowedMentions.none())

    async def status_line(self, task: Task) -> str:
        """Return one line about something that a member waits for."""
        usual = await self._schedule.usual_seconds(task.model)
        expected_at = max((task.submitted_at or task.created_at) + usual, self._clock() + SOONEST_SECONDS)
        return str(waiting.status_line(task, expected_at))

    async def acknowledge(self, asked: Asked, ordered: Ordered) -> None:
        """Show publicly what is being made and when to expect it; from here on the task's end answers."""
        text = await self.acknowledgement(ordered.task, ordered.title, joined=ordered.joined)
        notification_id = asked.notification_id
        view = None if ordered.task.status.is_final else cards.waiting_buttons(notification_id)
        await self.hand_over(notification_id, await asked.answer(str(text), view))

    async def acknowledgement(self, task: Task, subject: str, *, joined: bool) -> Text:
        """Return the words for a task that was ordered, with the time at which similar ones would be done."""
        if task.status is TaskStatus.QUEUED:
            return waiting.held_up(subject)
        now = self._clock()
        usual = await self._schedule.usual_seconds(task.model)
        expected_at = max((task.submitted_at or now) + usual, now + SOONEST_SECONDS)
        return waiting.acknowledgement(task, subject, joined=joined, expected_at=expected_at)

    async def hand_over(self, notification_id: str, ack_message_id: int | None) -> None:
        """Leave an acknowledged notification to its task's end, which may have come already."""
        async with self._database.write() as connection:
            row = await notifications.get(connection, notification_id)
            task = await rows.get(connection, row.task_id) if row is not None and row.task_id is not None else None
            due = task is None or task.status.is_final
            await notifications.change(
                connection,
                notification_id,
                only=[NotificationState.ASKED],
                state=NotificationState.DUE if due else NotificationState.WAITING,
                attempt_at=self._clock() if due else None,
                ack_message_id=ack_message_id,
            )
        if due:
            self._tasks.on_due()

    async def _is_ordered(self, notification_id: str) -> bool:
        """Tell whether a task was ordered for an interaction that failed later; if so, hand it to the delivery."""
        try:
            async with self._database.read() as connection:
                row = await notifications.get(connection, notification_id)
                if row is None or row.task_id is None:
                    return False
        except SQLAlchemyError:
            log.exception("interaction %s: the database does not answer", notification_id)
            return False
        await self._leave_open(notification_id)
        return True

    async def _leave_open(self, notification_id: str) -> None:
        """Let the delivery answer an interaction soon, in the place of who could not."""

        async def plan() -> None:
            async with self._database.write() as connection:
                await notifications.change(
                    connection, notification_id, only=[NotificationState.ASKED], attempt_at=self._clock()
                )

        await self._database.insist(plan)
        self._tasks.on_due()

    async def close(self, notification_id: str) -> None:
        """Note that everything has been said to the member who asked."""
        with suppress(OSError):
            self._journal.done(notification_id)
        async with self._database.write() as connection:
            await notifications.change(
                connection,
                notification_id,
                only=[NotificationState.ASKED],
                state=NotificationState.ANSWERED,
                interaction_token=None,
                attempt_at=None,
            )

    async def recover(self) -> None:
        """Bring into the database what an earlier process noted and did not live to write there."""
        rows_ = [Notification(**{**row, "state": NotificationState.ASKED}) for row in self._journal.unfinished()]
        async with self._database.write() as connection:
            for row in rows_:
                if await notifications.get(connection, row.id) is None:
                    await notifications.add(connection, row)
        self._journal.clear()

    def _note(self, row: Notification) -> None:
        try:
            self._journal.note(row.id, asdict(row))
        except OSError as error:
            log.error("interaction %s cannot be noted: %s", row.id, error.strerror)

    async def _answer_first(self, interaction: discord.Interaction, *, ephemeral: bool) -> None:
        """Send the first answer, and wait a moment for those of others: all come before anybody's work."""
        self._unanswered += 1
        self._all_answered.clear()
        try:
            await _acknowledge(interaction, ephemeral=ephemeral)
        finally:
            self._unanswered -= 1
            if self._unanswered == 0:
                self._all_answered.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_answered.wait(), COURTESY_SECONDS)

    async def _record(self, row: Notification) -> None:
        # The operating system keeps a commit through the death of this process, which is what the row is for. Should
        # the power fail in this very moment, Discord ends the "thinking…" by itself after 15 minutes.
        async with self._database.write(durable=False) as connection:
            await notifications.add(connection, row)
        with suppress(OSError):
            self._journal.done(row.id)

    async def _say(self, asked: Asked, text: Text, *, ephemeral: bool) -> None:
        try:
            if not ephemeral:
                # A public "thinking…" cannot turn private, but what follows its deletion can.
                with suppress(discord.NotFound):
                    await asked.interaction.delete_original_response()
                await asked.interaction.followup.send(
                    str(text), ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
                )
            else:
                await asked.answer(str(text))
        except _GONE as error:
            log.info("interaction %s could not be answered: %s", asked.notification_id, error)
        except (discord.HTTPException, OSError, aiohttp.ClientError, TimeoutError) as error:
            log.warning("interaction %s could not be answered yet: %s", asked.notification_id, type(error).__name__)
            await self._leave_open(asked.notification_id)
            return
        try:
            await self.close(asked.notification_id)
        except SQLAlchemyError:
            # The row stays open, so the member may be told once more; better than never.
            log.exception("interaction %s could not be closed", asked.notification_id)


def _row(interaction: discord.Interaction, notification_id: str, *, ephemeral: bool, now: float) -> Notification:
    return Notification(
        id=notification_id,
        kind="result",
        task_id=None,
        position=0,
        user_id=interaction.user.id,
        guild_id=interaction.guild_id,
        channel_id=interaction.channel_id or 0,
        application_id=interaction.application_id,
        interaction_token=interaction.token,
        token_expires_at=now + TOKEN_SECONDS,
        ephemeral=ephemeral,
        upload_limit=interaction.filesize_limit,
        locale=str(interaction.locale)[:10],
        ack_message_id=None,
        ack_wanted=None,
        state=NotificationState.ASKED,
        attempts=0,
        attempt_at=now + ANSWER_SECONDS,
        message_id=None,
        error=None,
        created_at=now,
        delivered_at=None,
    )


async def _acknowledge(interaction: discord.Interaction, *, ephemeral: bool) -> None:
    """Send the first answer; one whose own answer was lost is sent again, and Discord tells whether it had arrived."""
    for attempt in (1, 2, 3):
        try:
            await interaction.response.defer(ephemeral=ephemeral, thinking=True)
        except discord.HTTPException as error:
            if error.code == ALREADY_ACKNOWLEDGED:
                return
            if error.status < 500 or attempt == 3:
                raise
        except (OSError, aiohttp.ClientError):
            if attempt == 3:
                raise
        else:
            return


def _check_permissions(interaction: discord.Interaction) -> None:
    """Refuse before anything is paid for where the result could not be posted."""
    if interaction.guild_id is None or not interaction.is_guild_integration():
        raise MemberError(errors.server_only())
    granted = interaction.app_permissions
    in_thread = isinstance(interaction.channel, discord.Thread)
    needed = ["send_messages_in_threads" if in_thread and name == "send_messages" else name for name in _NEEDED]
    missing = [name.replace("_", " ").title() for name in needed if not getattr(granted, name)]
    if missing and not granted.administrator:
        raise MemberError(errors.missing_permissions(missing))
