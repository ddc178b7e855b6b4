"""The first answer to an interaction, which Discord wants within 3 s, and what became of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import discord

from bot.answers.private import QUIET, turn_private
from bot.refusals import FAILURES, UNREACHABLE, Refusal, explain, meaning_of
from bot.songs.orders import Answer
from bot.words import cards

log = logging.getLogger(__name__)

TRIES = 3
"""How often the first answer is sent when its own answer is lost."""

TRYING_SECONDS = 10.0
"""For how long at most."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a first answer: why it was not taken, or None, and its message's id where that was told."""

    refusal: Refusal | None
    message_id: int | None = None

    @property
    def has_arrived(self) -> bool:
        """Return whether Discord has it. What is put off already is so by this request, or by another process."""
        return self.refusal in (None, Refusal.ANSWERED)


async def defer(
    interaction: discord.Interaction, name: str, *, ephemeral: bool = False, thinking: bool = False
) -> Sent:
    """Answer that the answer comes later: with "thinking…", or, below a button, with nothing to be seen."""
    return await _insist(name, lambda: interaction.response.defer(ephemeral=ephemeral, thinking=thinking))


async def say(
    interaction: discord.Interaction, name: str, answer: Answer, *, ephemeral: bool, is_recorded: bool = True
) -> Sent:
    """Answer with what there is to say; what is not recorded may be another process's to answer."""

    async def send() -> Any:
        with ExitStack() as stack:
            return await interaction.response.send_message(
                ephemeral=ephemeral, allowed_mentions=QUIET, **_content(answer, stack)
            )

    sent = await _insist(name, send)
    if is_recorded and sent.refusal is Refusal.ANSWERED:
        return await _see_said(interaction, name, answer, ephemeral=ephemeral)
    return sent


async def _see_said(interaction: discord.Interaction, name: str, answer: Answer, *, ephemeral: bool) -> Sent:
    """See that what was said is what Discord has, as it has an answer already.

    It may be this one, whose own answer was lost. Or another process that has the interaction too has put it off before
    it learned that it comes second; then this one takes the place of "thinking…".
    """
    try:
        async with asyncio.timeout(TRYING_SECONDS):
            original = await interaction.original_response()
            if original.flags.loading and ephemeral and not original.flags.ephemeral:
                view = answer.view if isinstance(answer.view, discord.ui.View) else None
                await turn_private(interaction, str(answer.text), view)
            elif original.flags.loading:
                await edit(interaction, answer)
    except FAILURES as error:
        log.info("interaction %s: its first answer cannot be seen: %s", name, explain(error))
        meaning = meaning_of(error)
        return Sent(Refusal.ANSWERED if meaning is Refusal.GONE else meaning)
    return Sent(None, original.id)


async def edit(interaction: discord.Interaction, answer: Answer) -> None:
    """Replace the first answer by another; raises what Discord says."""
    with ExitStack() as stack:
        options = _content(answer, stack)
        files = options.pop("files", [])
        # What was said in the other way goes: neither text nor embeds stand beside a layout.
        options = {"content": None, "view": None, "embeds": [], **options}
        if answer.embeds or files or isinstance(answer.view, discord.ui.LayoutView):
            options["attachments"] = files
        await interaction.edit_original_response(allowed_mentions=QUIET, **options)


async def change(interaction: discord.Interaction, name: str, answer: Answer) -> bool:
    """Put an answer in the place of the pressed message, again where that was lost, and tell whether it is there."""
    with suppress(TimeoutError):
        async with asyncio.timeout(TRYING_SECONDS):
            for _ in range(TRIES):
                try:
                    await edit(interaction, answer)
                except FAILURES as error:
                    log.info("interaction %s: its message cannot be changed: %s", name, explain(error))
                    if meaning_of(error) is not Refusal.LATER:
                        break
                else:
                    return True
    return False


def _content(answer: Answer, stack: ExitStack) -> dict[str, Any]:
    options: dict[str, Any] = {}
    is_layout = isinstance(answer.view, discord.ui.LayoutView)
    if not is_layout and (text := cards.fitting(str(answer.text))):
        options["content"] = text
    if answer.view is not None:
        options["view"] = answer.view
    if answer.embeds and not is_layout:
        options["embeds"] = answer.embeds
    if answer.files:
        options["files"] = [discord.File(path, filename=name) for path, name in answer.files]
        for file in options["files"]:
            stack.callback(file.close)
    return options


async def _insist(name: str, send: Callable[[], Awaitable[Any]]) -> Sent:
    """Send a first answer, again where its own answer was lost."""
    refusal = Refusal.LATER
    try:
        async with asyncio.timeout(TRYING_SECONDS):
            for _ in range(TRIES):
                try:
                    response = await send()
                except UNREACHABLE as error:
                    refusal = meaning_of(error)
                    log.info("interaction %s: its first answer was not taken: %s", name, explain(error))
                    if refusal is not Refusal.LATER:
                        break
                except discord.InteractionResponded:  # something has answered, and it could not be read
                    break
                else:
                    return Sent(None, getattr(response, "message_id", None))
    except TimeoutError:
        log.info("interaction %s: its first answer was not heard of in time", name)
    return Sent(refusal)
