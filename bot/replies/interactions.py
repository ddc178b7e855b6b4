"""Answers to interactions, so that no member is ever left "thinking…".

Each command is written down as a notification that is `asked` before Discord gets its first answer. Whatever dies in
between, the next start finds it and tells the member.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import discord
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bot.refusals import FAILURES, Refusal, explain, meaning_of
from bot.replies.acknowledgements import Acknowledgements
from bot.replies.private import QUIET, tell_directly, turn_private
from bot.songs.orders import Answer, Ordered, Requester
from bot.words import cards, errors
from bot.words.errors import MemberError
from bot.words.text import Text, speak, speaking
from storage import notifications, servers
from storage.database import Database
from storage.drafts import Draft
from storage.ids import new_id
from storage.notifications import Notification
from storage.planned import Gone
from storage.schema import NotificationState
from storage.tasks import Task

log = logging.getLogger(__name__)

TOKEN_SECONDS = 15 * 60
"""How long Discord keeps an interaction's token."""

RECORD_SECONDS = 1.0
"""How long the first answer, which Discord wants within 3 s, waits for the database."""

RECORD_AGAIN_SECONDS = 0.3

COURTESY_SECONDS = 0.5
"""How long the work for a member waits while others still wait for their first answer."""

FIRST_ANSWERS = 3
"""How often the first answer is sent when its own answer is lost."""

_NEEDED = ("view_channel", "send_messages", "embed_links", "attach_files", "read_message_history")


class Interactions:
    """Writes interactions down, acknowledges them and sees that each gets an answer."""

    def __init__(
        self,
        database: Database,
        acknowledgements: Acknowledgements,
        clock: Callable[[], float],
        support_url: str | None,
    ) -> None:
        self._database = database
        self._acknowledgements = acknowledgements
        self._support_url = support_url
        self._clock = clock
        self._unanswered = 0
        self._all_answered = asyncio.Event()

    async def order(
        self,
        interaction: discord.Interaction,
        work: Callable[[Requester], Awaitable[Ordered]],
        draft: Draft | None = None,
    ) -> None:
        """Answer a command publicly with what it has ordered, or privately with why it has not.

        `draft` is what was typed; where nothing comes of it, it can be tried again or changed.
        """
        row = await self._begin(interaction, ephemeral=False, draft=draft)
        if row is None:
            return
        try:
            await self.check_order(interaction)
            ordered = await work(Requester(row.user_id, row.guild_id, row.id, role_ids(interaction)))
        except MemberError as error:
            await self._refuse(interaction, row, error.text, error.view, error.task)
        except Gone:  # the member has had everything forgotten meanwhile
            await self._refuse(interaction, row, errors.interrupted())
        except SQLAlchemyError as error:
            log.error("interaction %s failed: %s", row.id, _told(error))
            await self._fail(interaction, row)
        except Exception:
            log.exception("interaction %s failed", row.id)
            await self._fail(interaction, row)
        else:
            try:
                with speaking(row.locale):
                    await self._acknowledgements.acknowledge(interaction, row.id, ordered)
            except SQLAlchemyError as error:  # it is ordered, so the delivery says it once the database answers
                log.error("interaction %s failed: %s", row.id, _told(error))
                await self._leave(row.id)

    async def reply(self, interaction: discord.Interaction, work: Callable[[], Awaitable[Answer]]) -> None:
        """Answer a command privately."""
        row = await self._begin(interaction, ephemeral=True)
        if row is None:
            return
        try:
            answer = await work()
        except MemberError as error:
            answer = Answer(error.text, cards.support_view(self._support_url))
        except SQLAlchemyError as error:
            log.error("interaction %s failed: %s", row.id, _told(error))
            answer = Answer(errors.internal_error(row.id), cards.support_view(self._support_url))
        except Exception:
            log.exception("interaction %s failed", row.id)
            answer = Answer(errors.internal_error(row.id), cards.support_view(self._support_url))
        try:
            await _edit_original(interaction, answer)
        except FAILURES as error:
            await self._not_told(interaction, row, error, answer.text or errors.closed_here())
        else:
            await self._close(row.id)

    async def update(self, interaction: discord.Interaction, work: Callable[[], Awaitable[Answer | None]]) -> None:
        """Let a button change its own message; nothing shows "thinking…", so nothing is written down."""
        self._database.begin_work()
        speak(str(interaction.locale))
        reference = new_id(self._clock())
        if not await self._is_first(interaction):
            return
        if await _defer(interaction, reference) not in (None, Refusal.ANSWERED):
            return  # nothing was done, and Discord itself says so
        try:
            answer = await work()
        except MemberError as error:
            text = error.text
        except Exception:
            log.exception("interaction %s failed", reference)
            text = errors.internal_error(reference)
        else:
            if answer is not None:
                try:
                    await _edit_original(interaction, answer)
                except FAILURES as error:
                    log.info("interaction %s: its message cannot be changed: %s", reference, explain(error))
            return
        await self._follow_up(interaction, reference, text)

    async def open(self, interaction: discord.Interaction, make: Callable[[], Awaitable[discord.ui.Modal]]) -> None:
        """Answer a command or button with a form, which has to come first; `make` may take no time."""
        self._database.begin_work()
        speak(str(interaction.locale))
        reference = new_id(self._clock())
        if not await self._is_first(interaction):
            return
        try:
            form = await make()
        except MemberError as error:
            text = error.text
        except Exception:
            log.exception("interaction %s failed", reference)
            text = errors.internal_error(reference)
        else:
            try:
                await interaction.response.send_modal(form)
            except FAILURES as error:
                log.info("interaction %s: its form was not taken: %s", reference, explain(error))
            return
        is_command = interaction.type is discord.InteractionType.application_command
        if await _defer(interaction, reference, ephemeral=is_command, thinking=is_command) in (None, Refusal.ANSWERED):
            await self._follow_up(interaction, reference, text)

    async def _is_first(self, interaction: discord.Interaction) -> bool:
        """Tell whether no other process has this interaction too, of which nothing is written down."""
        try:
            async with asyncio.timeout(RECORD_SECONDS):
                is_first = await self._database.turns.once(f"press {interaction.id}")
        except (SQLAlchemyError, TimeoutError):
            return True  # what it wants to change the database will not take either
        if not is_first:
            log.info("interaction %s came twice", interaction.id)
        return is_first

    async def _follow_up(self, interaction: discord.Interaction, name: str, text: Text) -> None:
        """Say privately why a button or form did nothing."""
        view = cards.support_view(self._support_url)
        options: dict[str, Any] = {} if view is None else {"view": view}
        try:
            try:
                await interaction.followup.send(
                    cards.fitting(str(text)), ephemeral=True, allowed_mentions=QUIET, **options
                )
            except discord.HTTPException as error:
                if meaning_of(error) is Refusal.LATER:
                    raise
                await tell_directly(interaction.client, interaction.user.id, str(text), nonce=name)
        except FAILURES as error:
            log.info("interaction %s could not be answered: %s", name, explain(error))

    # Beginning

    async def _begin(
        self, interaction: discord.Interaction, *, ephemeral: bool, draft: Draft | None = None
    ) -> Notification | None:
        """Write an interaction down and give Discord its first answer; None where there is nothing more to do."""
        self._database.begin_work()
        speak(str(interaction.locale))  # discord.py gives each interaction an asyncio task of its own
        now = self._clock()
        row = _row(interaction, new_id(now), ephemeral=ephemeral, now=now, draft=draft)
        recording = asyncio.create_task(self._record(row))
        await asyncio.wait({recording}, timeout=RECORD_SECONDS)
        if recording.done() and isinstance(recording.exception(), Gone):
            log.info("interaction %s came twice", interaction.id)
            return None
        answered = await self._answer_first(interaction, row, ephemeral=ephemeral)
        try:
            row = await recording
        except Gone:
            log.info("interaction %s came twice", interaction.id)
            return None
        except SQLAlchemyError as error:
            log.error("interaction %s cannot be written down: %s", row.id, _told(error))
            if answered is Refusal.ANSWERED or answered is None:
                await self._refuse(interaction, row, errors.internal_error(row.id))
            return None
        if answered is Refusal.GONE:  # too late: Discord itself has told the member
            log.warning("interaction %s came too late to be answered", row.id)
            await self._close(row.id)
            return None
        if answered in (None, Refusal.ANSWERED):
            return row
        if answered is Refusal.LATER:
            # It may have arrived all the same: the delivery asks Discord, and says what can be said.
            await self._leave(row.id)
        else:
            await self._tell_directly(interaction, row, errors.closed_here())
        return None

    async def _record(self, row: Notification) -> Notification:
        """Write a command down, again for as long as the database may be out of reach in passing."""
        loop = asyncio.get_running_loop()
        until, again = loop.time() + self._database.passing_seconds, False
        while True:
            try:
                return await self._write_down(row, again=again)
            except OperationalError as error:
                if loop.time() >= until:
                    raise
                log.warning("interaction %s cannot be written down yet: %s", row.id, _told(error))
            again = True
            await asyncio.sleep(RECORD_AGAIN_SECONDS)

    async def _write_down(self, row: Notification, *, again: bool) -> Notification:
        # The operating system keeps a commit through the death of this process, which is what the row is for. Should
        # the power fail in this very moment, Discord ends the "thinking…" by itself after 15 minutes.
        async with self._database.write(durable=False) as transaction:
            # What seems to have failed may have been committed.
            if again and (written := await notifications.get(transaction, row.id)) is not None:
                return written
            if not row.ephemeral:
                server = await servers.get(transaction, row.guild_id)
                if server.language is not None:
                    row = replace(row, locale=server.language, own_locale=row.locale)
            await notifications.add(transaction, row)
        return row

    async def check_order(self, interaction: discord.Interaction) -> None:
        """Raise `MemberError` where nothing may be ordered, or its result could not be posted."""
        _check_permissions(interaction)
        await self._check_place(interaction)

    async def _check_place(self, interaction: discord.Interaction) -> None:
        """Refuse where the managers of the server want no songs."""
        async with self._database.read() as snapshot:
            channels = (await servers.get(snapshot, interaction.guild_id)).channels
        here = {interaction.channel_id, getattr(interaction.channel, "parent_id", None)}
        if channels and here.isdisjoint(channels):
            raise MemberError(errors.not_in_this_channel(list(channels)))

    async def _answer_first(
        self, interaction: discord.Interaction, row: Notification, *, ephemeral: bool
    ) -> Refusal | None:
        """Send the first answer, and wait a moment for those of others: all come before anybody's work."""
        self._unanswered += 1
        self._all_answered.clear()
        try:
            refusal = await _defer(interaction, row.id, ephemeral=ephemeral, thinking=True)
        finally:
            self._unanswered -= 1
            if self._unanswered == 0:
                self._all_answered.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_answered.wait(), COURTESY_SECONDS)
        return refusal

    # Ending

    async def _fail(self, interaction: discord.Interaction, row: Notification) -> None:
        """Tell of a fault of our own, unless something was ordered all the same: then that has to be acknowledged."""
        try:
            async with self._database.read() as snapshot:
                current = await notifications.get(snapshot, row.id)
        except SQLAlchemyError as error:
            # It may have taken the order before it fell silent.
            log.error("interaction %s: the database does not answer: %s", row.id, _told(error))
            await self._leave(row.id)
            return
        if current is not None and current.task_id is not None:
            await self._leave(row.id)
        else:
            await self._refuse(interaction, row, errors.internal_error(row.id))

    async def _refuse(
        self,
        interaction: discord.Interaction,
        row: Notification,
        text: Text,
        view: discord.ui.View | None = None,
        task: Task | None = None,
    ) -> None:
        """Turn a public "thinking…" into a private sentence, with its own buttons or those that keep what was typed."""
        try:
            if view is None:
                view = cards.refusal_view(await self._as_kept(row), task, self._support_url)
            await turn_private(interaction, str(text), view)
        except FAILURES as error:
            await self._not_told(interaction, row, error, text)
        else:
            await self._close(row.id)

    async def _as_kept(self, row: Notification) -> Notification:
        """Return a notification with what is kept of its draft by now: what is tried again has taken that over."""
        try:
            async with self._database.read() as snapshot:
                return await notifications.get(snapshot, row.id) or row
        except SQLAlchemyError as error:
            log.error("interaction %s: the database does not answer: %s", row.id, _told(error))
            return row

    async def _not_told(
        self, interaction: discord.Interaction, row: Notification, error: Exception, text: Text | str
    ) -> None:
        """Say directly what the interaction does not take, or leave it to the delivery where nobody has said no."""
        if meaning_of(error) is Refusal.LATER:
            log.warning("interaction %s could not be answered yet: %s", row.id, explain(error))
            await self._leave(row.id)
            return
        log.info("interaction %s could not be answered: %s", row.id, explain(error))
        await self._tell_directly(interaction, row, text)

    async def _tell_directly(self, interaction: discord.Interaction, row: Notification, text: Text | str) -> None:
        try:
            await tell_directly(interaction.client, row.user_id, str(text), nonce=row.id)
        except FAILURES as error:
            log.info("interaction %s: its member cannot be reached: %s", row.id, explain(error))
            if meaning_of(error) is Refusal.LATER:
                await self._leave(row.id)
                return
        await self._close(row.id)

    async def _leave(self, notification_id: str) -> None:
        """Let the delivery answer, in the place of who could not."""

        async def plan() -> None:
            with suppress(Gone):
                async with self._database.write() as transaction:
                    await notifications.leave(transaction, notification_id, self._clock())

        await self._database.insist(plan)

    async def _close(self, notification_id: str) -> None:
        """Note that everything has been said to the member who asked, who else would be told once more."""

        async def close() -> None:
            async with self._database.write() as transaction:
                await notifications.answer(transaction, notification_id)

        try:
            await self._database.insist(close)
        except Gone:
            log.debug("interaction %s is closed already", notification_id)


def _told(error: SQLAlchemyError) -> str:
    """Return what the database or the way to it has said, without the statement."""
    return f"{type(error).__name__}: {getattr(error, 'orig', error)}"


def _row(
    interaction: discord.Interaction, notification_id: str, *, ephemeral: bool, now: float, draft: Draft | None
) -> Notification:
    return Notification(
        id=notification_id,
        interaction_id=interaction.id,
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
        attempt_at=None,  # nobody has to look after a command that lives
        sent_at=None,
        failures=None,
        message_id=None,
        error=None,
        created_at=now,
        delivered_at=None,
        draft=draft,
    )


async def _defer(
    interaction: discord.Interaction, name: str, *, ephemeral: bool = False, thinking: bool = False
) -> Refusal | None:
    """Send the first answer, again where its own answer was lost; return why it was not taken, or None."""
    refusal = Refusal.LATER
    for _ in range(FIRST_ANSWERS):
        try:
            await interaction.response.defer(ephemeral=ephemeral, thinking=thinking)
        except FAILURES as error:
            refusal = meaning_of(error)
            log.info("interaction %s: its first answer was not taken: %s", name, explain(error))
            if refusal is not Refusal.LATER:
                return refusal
        else:
            return None
    return refusal


def role_ids(interaction: discord.Interaction) -> tuple[int, ...]:
    """Return the ids of the caller's roles."""
    user = interaction.user
    return tuple(role.id for role in user.roles) if isinstance(user, discord.Member) else ()


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


async def _edit_original(interaction: discord.Interaction, answer: Answer) -> None:
    files = [discord.File(path, filename=name) for path, name in answer.files]
    try:
        if isinstance(answer.view, discord.ui.LayoutView):
            # What was said in the other way goes: neither stands beside a layout.
            await interaction.edit_original_response(
                content=None, embeds=[], attachments=files, view=answer.view, allowed_mentions=QUIET
            )
            return
        options: dict[str, Any] = {"attachments": files} if answer.embeds or files else {}
        await interaction.edit_original_response(
            content=cards.fitting(str(answer.text)),
            embeds=answer.embeds,
            view=answer.view,
            allowed_mentions=QUIET,
            **options,
        )
    finally:
        for file in files:
            file.close()
