"""Answers to interactions, so that no member is ever left without one.

Each command is written down as a notification that is `asked` before Discord gets its first answer. Whatever dies in
between, the next start finds it. What can be decided from the database is the first answer; the rest is put off by it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import discord
from sqlalchemy.exc import SQLAlchemyError

from bot.answers import first_answers
from bot.answers.acknowledgements import Acknowledgements
from bot.answers.asked import check_permissions, check_place, record, row_of, told
from bot.answers.closing import Closing
from bot.answers.first_answers import Sent
from bot.answers.private import turn_private
from bot.refusals import FAILURES, Refusal, explain, meaning_of
from bot.songs.orders import Answer, Ordered, Requester
from bot.words import cards
from bot.words.sentences import errors, reasons
from bot.words.sentences.errors import MemberError
from bot.words.text import Sentences, Text, speak, speaking
from storage import notifications
from storage.database import Database
from storage.ids import new_id
from storage.notifications import Notification
from storage.notifications.drafts import Draft
from storage.planned import Gone

T = TypeVar("T")

log = logging.getLogger(__name__)

DECIDE_SECONDS = 1.0
"""How long the first answer, which Discord wants within 3 s, waits for what there is to say."""

CROWD = 64
"""From how many unanswered commands on the next ones are told at once that their answer comes later."""

COURTESY_SECONDS = 0.5
"""How long the work for a member waits then while others still wait for their first answer."""


@dataclass(frozen=True, slots=True)
class _Begun(Generic[T]):
    """A command that is written down: what is being done for it, and whether Discord was told that it takes longer."""

    row: Notification
    decision: asyncio.Task[T]
    is_deferred: bool


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
        self._closing = Closing(database, clock, support_url)
        self._unanswered = 0
        self._all_answered = asyncio.Event()

    async def order(
        self,
        interaction: discord.Interaction,
        work: Callable[[Requester], Awaitable[Ordered]],
        draft: Draft | None = None,
        *,
        first: Callable[[Requester], Awaitable[None]] | None = None,
    ) -> None:
        """Answer a command publicly with what it has ordered, or privately with why it has not.

        `draft` is what was typed, or `first` keeps it; where nothing comes of it, it can be tried again or changed.
        """

        async def decide(row: Notification) -> Ordered:
            requester = Requester(row.user_id, row.guild_id, row.id, role_ids(interaction))
            if first is not None:
                await first(requester)
            await self.check_order(interaction)
            return await work(requester)

        begun = await self._begin(interaction, decide, ephemeral=False, draft=draft)
        if begun is not None:
            await self._see_through(interaction, begun, self._answer_order(interaction, begun))

    async def _answer_order(self, interaction: discord.Interaction, begun: _Begun[Ordered]) -> None:
        try:
            ordered = await begun.decision
        except MemberError as error:
            await self._closing.refuse(interaction, begun.row, error.refusal, error.view, is_deferred=begun.is_deferred)
        except Gone:  # the member has had everything forgotten meanwhile
            await self._closing.refuse(interaction, begun.row, errors.interrupted(), is_deferred=begun.is_deferred)
        else:
            with speaking(begun.row.locale):
                if begun.is_deferred:
                    await self._acknowledgements.acknowledge(interaction, begun.row.id, ordered)
                    return
                sent = await self._acknowledgements.answer_first(interaction, begun.row.id, ordered)
            if not sent.has_arrived:
                await self._closing.not_taken(interaction, begun.row, sent.refusal, errors.closed_here())

    async def check_order(self, interaction: discord.Interaction) -> None:
        """Raise `MemberError` where nothing may be ordered, or its result could not be posted."""
        check_permissions(interaction)
        await check_place(self._database, interaction)

    async def reply(self, interaction: discord.Interaction, work: Callable[[], Awaitable[Answer]]) -> None:
        """Answer a command privately."""

        async def decide(_row: Notification) -> Answer:
            return await work()

        begun = await self._begin(interaction, decide, ephemeral=True)
        if begun is not None:
            await self._see_through(interaction, begun, self._answer_privately(interaction, begun))

    async def _answer_privately(self, interaction: discord.Interaction, begun: _Begun[Answer]) -> None:
        row, needs_place = begun.row, False
        try:
            answer = await begun.decision
            needs_place = bool(answer.view or answer.files or not answer.text)
        except MemberError as error:
            answer = Answer(error.text, cards.support_view(self._support_url))
        except SQLAlchemyError as error:
            log.error("interaction %s failed: %s", row.id, told(error))
            answer = self._fault(row)
        except Exception:
            log.exception("interaction %s failed", row.id)
            answer = self._fault(row)
        # What can only be pressed or heard cannot be told elsewhere.
        elsewhere = errors.closed_here() if needs_place else answer.text
        if answer.files and not begun.is_deferred:  # who knows how long they take
            put_off = await self._put_off(interaction, begun)
            if put_off is None:
                return
            begun = put_off
        if begun.is_deferred:
            try:
                await self._edit(interaction, row, answer)
            except FAILURES as error:
                await self._closing.not_told(interaction, row, error, elsewhere)
            else:
                await self._closing.close(row.id)
            return
        sent = await first_answers.say(interaction, row.id, answer, ephemeral=True)
        if sent.has_arrived:
            await self._closing.close(row.id)
        else:
            await self._closing.not_taken(interaction, row, sent.refusal, elsewhere)

    async def _edit(self, interaction: discord.Interaction, row: Notification, answer: Answer) -> None:
        """Put an answer in the place of "thinking…", or a sentence where Discord does not take what it says."""
        try:
            await first_answers.edit(interaction, answer)
        except discord.HTTPException as error:
            if meaning_of(error) not in (Refusal.REFUSED, Refusal.TOO_LARGE):
                raise
            log.warning("interaction %s: its answer is not taken: %s", row.id, explain(error))
            await first_answers.edit(interaction, self._fault(row))

    async def update(self, interaction: discord.Interaction, work: Callable[[], Awaitable[Answer | None]]) -> None:
        """Let a button change its own message; nothing shows "thinking…", so nothing is written down."""
        speak(str(interaction.locale))
        reference = new_id(self._clock())
        if not await self._is_able(interaction) or not await self._is_first(interaction):
            return
        if not await self._is_heard(interaction, reference):
            return
        try:
            answer = await work()
        except MemberError as error:
            text: Text | str = error.text
        except FAILURES as error:  # Discord's word, not a mistake of ours
            log.warning("interaction %s: what was pressed for was not done: %s", reference, explain(error))
            text = errors.internal_error(reference)
        except SQLAlchemyError as error:
            log.error("interaction %s failed: %s", reference, told(error))
            text = errors.internal_error(reference)
        except Exception:
            log.exception("interaction %s failed", reference)
            text = errors.internal_error(reference)
        else:
            if answer is None or await first_answers.change(interaction, reference, answer) or not answer.text:
                return
            text = answer.text  # it was done, and nobody would know
        await self._closing.follow_up(interaction, reference, text)

    async def _is_heard(self, interaction: discord.Interaction, reference: str) -> bool:
        """Acknowledge the press of a button with nothing to be seen, and tell whether Discord has taken that.

        Where it has not, nothing is done, and Discord itself says so. Where nobody knows, we have to say it.
        """
        sent = await first_answers.defer(interaction, reference)
        if sent.refusal is Refusal.LATER:
            await self._closing.follow_up(interaction, reference, errors.internal_error(reference), directly=False)
        return sent.has_arrived

    async def open(
        self,
        interaction: discord.Interaction,
        make: Callable[[], Awaitable[discord.ui.Modal]],
        *,
        is_order: bool = True,
    ) -> None:
        """Answer a command or button with a form, which has to come first; `make` may take no time.

        Where `is_order`, a refusal says that nothing was paid.
        """
        speak(str(interaction.locale))
        reference = new_id(self._clock())
        if not await self._is_able(interaction) or not await self._is_first(interaction):
            return
        try:
            form = await make()
        except MemberError as error:
            text: Text = error.refusal if is_order else error.text
        except SQLAlchemyError as error:
            log.error("interaction %s failed: %s", reference, told(error))
            text = errors.internal_error(reference)
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
        sent = await first_answers.defer(interaction, reference, ephemeral=is_command, thinking=is_command)
        if sent.has_arrived:
            await self._closing.follow_up(interaction, reference, text)

    async def _is_able(self, interaction: discord.Interaction) -> bool:
        """Tell whether this process may answer, in a moment at the latest; else another one may have it too."""
        is_able = await self._database.is_able(DECIDE_SECONDS)
        if not is_able:
            log.warning("interaction %s cannot be answered: the lease of this process has ended", interaction.id)
        return is_able

    async def _is_first(self, interaction: discord.Interaction) -> bool:
        """Tell whether no other process has this interaction too, of which nothing is written down."""
        try:
            async with asyncio.timeout(DECIDE_SECONDS):
                is_first = await self._database.turns.is_first(f"press {interaction.id}")
        except (SQLAlchemyError, TimeoutError):
            return True  # what it wants to change the database will not take either
        if not is_first:
            log.info("interaction %s came twice", interaction.id)
        return is_first

    # Beginning

    async def _begin(
        self,
        interaction: discord.Interaction,
        work: Callable[[Notification], Coroutine[Any, Any, T]],
        *,
        ephemeral: bool,
        draft: Draft | None = None,
    ) -> _Begun[T] | None:
        """Write an interaction down, begin what it asks for, and give it a while; None where there is nothing to do.

        What is not done by then has been put off at Discord, and is under way.
        """
        if not await self._is_able(interaction):
            return None
        speak(str(interaction.locale))  # discord.py gives each interaction an asyncio task of its own
        until = asyncio.get_running_loop().time() + DECIDE_SECONDS
        is_crowded = self._unanswered >= CROWD
        now = self._clock()
        row = row_of(interaction, new_id(now), ephemeral=ephemeral, now=now, draft=draft)
        self._unanswered += 1
        self._all_answered.clear()
        try:
            recording = _start(record(self._database, row), row.id)
            await _wait(recording, until)
            if recording.done():
                row = recording.result()
                if not is_crowded:
                    begun = _Begun(row, _start(work(row), row.id), is_deferred=False)
                    await _wait(begun.decision, until)
                    return begun if begun.decision.done() else await self._put_off(interaction, begun)
            sent = await first_answers.defer(interaction, row.id, ephemeral=ephemeral, thinking=True)
        except Gone:
            log.info("interaction %s came twice", interaction.id)
            return None
        except SQLAlchemyError as error:
            log.error("interaction %s cannot be written down: %s", row.id, told(error))
            await first_answers.say(interaction, row.id, self._fault(row), ephemeral=True, is_recorded=False)
            return None
        finally:
            self._answered()
        return await self._go_on(interaction, row, recording, sent, work)

    async def _go_on(
        self,
        interaction: discord.Interaction,
        row: Notification,
        recording: asyncio.Task[Notification],
        sent: Sent,
        work: Callable[[Notification], Coroutine[Any, Any, T]],
    ) -> _Begun[T] | None:
        """Begin what was put off before it was begun: in a crowd, or because the database is slow."""
        try:
            row = await recording
        except Gone:
            log.info("interaction %s came twice", interaction.id)
            return None
        except SQLAlchemyError as error:
            log.error("interaction %s cannot be written down: %s", row.id, told(error))
            if sent.has_arrived:
                with suppress(*FAILURES):
                    await turn_private(interaction, str(_fault(row)), cards.support_view(self._support_url))
            return None
        if not sent.has_arrived:
            await self._closing.not_taken(interaction, row, sent.refusal, errors.closed_here())
            return None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_answered.wait(), COURTESY_SECONDS)
        return _Begun(row, _start(work(row), row.id), is_deferred=True)

    async def _put_off(self, interaction: discord.Interaction, begun: _Begun[T]) -> _Begun[T] | None:
        """Tell Discord that the answer comes later; where it does not take that, end what was begun."""
        row = begun.row
        sent = await first_answers.defer(interaction, row.id, ephemeral=row.ephemeral, thinking=True)
        if sent.has_arrived:
            return replace(begun, is_deferred=True)
        begun.decision.cancel()
        await asyncio.wait({begun.decision})
        await self._closing.not_taken(interaction, row, sent.refusal, errors.closed_here())
        return None

    def _fault(self, row: Notification) -> Answer:
        return Answer(_fault(row), cards.support_view(self._support_url))

    def _answered(self) -> None:
        """Note that one command less waits for its first answer."""
        self._unanswered -= 1
        if self._unanswered == 0:
            self._all_answered.set()

    # Ending

    async def _see_through(
        self, interaction: discord.Interaction, begun: _Begun[Any], answering: Awaitable[None]
    ) -> None:
        """Give an answer; where that fails, nobody is left without one, and no order without an acknowledgement."""
        try:
            await answering
        except SQLAlchemyError as error:
            log.error("interaction %s failed: %s", begun.row.id, told(error))
            await self._fail(interaction, begun)
        except Exception:
            log.exception("interaction %s failed", begun.row.id)
            await self._fail(interaction, begun)

    async def _fail(self, interaction: discord.Interaction, begun: _Begun[Any]) -> None:
        """Tell of a fault of our own, unless something was ordered all the same: then that has to be acknowledged."""
        row = begun.row
        is_ordered = True
        try:
            async with self._database.read() as snapshot:
                current = await notifications.get(snapshot, row.id)
            is_ordered = current is not None and current.task_id is not None
        except SQLAlchemyError as error:
            # It may have taken the order before it fell silent.
            log.error("interaction %s: the database does not answer: %s", row.id, told(error))
        if not is_ordered:
            await self._closing.refuse(interaction, begun.row, _fault(row), is_deferred=begun.is_deferred)
        elif begun.is_deferred or await self._put_off(interaction, begun) is not None:
            await self._closing.leave(row.id)


def _fault(row: Notification) -> Text:
    """Say that the fault is the bot's own, and nothing was paid: of an order it is only said where none was made."""
    text = errors.internal_error(row.id)
    return text if row.ephemeral else Sentences(text, reasons.nothing_used())


def _start(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    # Under a name by which a stop waits for it.
    return asyncio.create_task(work, name=f"command {name}")


async def _wait(work: asyncio.Task[Any], until: float) -> None:
    """Wait for some work until a moment on the event loop's clock; it goes on after that."""
    await asyncio.wait({work}, timeout=max(until - asyncio.get_running_loop().time(), 0))


def role_ids(interaction: discord.Interaction) -> tuple[int, ...]:
    """Return the ids of the caller's roles."""
    user = interaction.user
    return tuple(role.id for role in user.roles) if isinstance(user, discord.Member) else ()
