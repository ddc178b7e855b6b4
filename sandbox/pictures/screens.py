"""Every screen that members see, in every language: messages, forms and commands, as the real bot sent them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.pictures import asking, orders, owners
from sandbox.pictures.orders import FAILING, GENERATE, LATE, RESTYLE, UNWELCOME
from sandbox.pictures.walk import SECONDS, Walk
from sandbox.play.stage import COVER, CREDITS
from sandbox.vidgo.rules import error_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sandbox.play.stage import Stage

LANGUAGES = {"en-US": "English", "de": "German", "es-ES": "Spanish", "ja": "Japanese", "pt-BR": "Brazilian Portuguese"}

SETTINGS = {"DAILY_SONGS_PER_USER": "3", "SUPPORT_URL": "https://example.com/help"}
"""What the bot is told, so that orders fit into a limit, and a member has somewhere to go for help."""

TOKEN_SECONDS = 15 * 60


async def gather(stage: Stage, languages: Sequence[str] = tuple(LANGUAGES)) -> list[Walk]:
    """Let the bot show every screen in these languages; it has to live, and to be told `SETTINGS`."""
    stage.vidgo.credits = CREDITS * len(languages)
    walks = [Walk(stage, language) for language in languages]
    stage.discord.state.team = {walk.cleo.user: True for walk in walks}
    await _all(walks, owners.greet)
    await _all(walks, asking.begin)
    await _all(walks, asking.manage)
    await _refuse(stage, walks)
    await _wait(stage, walks)
    await _receive(stage, walks)
    await _all(walks, asking.end)
    return walks


async def _all(walks: Sequence[Walk], way: Callable[[Walk], Awaitable[None]]) -> None:
    """Let everybody go one way at once; between the ways VidGo is told how to behave."""
    await asyncio.gather(*(way(walk) for walk in walks))


async def _refuse(stage: Stage, walks: Sequence[Walk]) -> None:
    vidgo = stage.vidgo
    for reason, way in (
        ("the song could not be processed", orders.fail),
        ("the lyrics were rejected by moderation", orders.fail_for_words),
    ):
        vidgo.fault("submit", "status", status=400, body=error_body(400, reason), times=None)
        await _all(walks, way)
        vidgo.clear_faults("submit")
    owners.foresee(stage)
    vidgo.revoke_key()
    await _all(walks, orders.fail_for_key)
    await _all(walks, owners.read_beginnings)
    vidgo.revoked = False


async def _wait(stage: Stage, walks: Sequence[Walk]) -> None:
    vidgo = stage.vidgo
    vidgo.set_result(COVER, "audio")
    for model in (COVER, RESTYLE, GENERATE):
        vidgo.hold(model)
    known = len(vidgo.accepted())
    await _all(walks, orders.wait)
    ordered = known + orders.ORDERED * len(walks)
    await vidgo.changes.until(lambda: len(vidgo.accepted()) >= ordered or None, SECONDS)
    await _all(walks, orders.look_on)
    vidgo.fault("submit", "busy_retry_after", seconds=0.3, times=None)
    for walk in walks:  # there is one line for all
        await orders.stand_in_line(walk)
    vidgo.clear_faults("submit")
    vidgo.fault("submit", "lose_answer_before", times=None)
    await _all(walks, orders.lose)
    vidgo.clear_faults("submit")
    await owners.sleep_an_hour(stage)
    await _all(walks, owners.read_endings)
    await _all(walks, orders.wait_longer)
    vidgo.credits = CREDITS * len(walks)


async def _receive(stage: Stage, walks: Sequence[Walk]) -> None:
    vidgo = stage.vidgo
    for walk in walks:
        walk.channel.bot_permissions -= {"send_messages"}
    _finish(stage, UNWELCOME)
    await _all(walks, orders.be_unwelcome)
    for walk in walks:
        walk.channel.bot_permissions |= {"send_messages"}
    stage.discord.advance(TOKEN_SECONDS)
    _finish(stage, FAILING, "the generation failed")
    await _all(walks, orders.fail_late)
    _finish(stage, LATE)
    await _all(walks, orders.receive_song)
    vidgo.release(COVER)
    await _all(walks, orders.receive_cover)
    vidgo.release()
    await _all(walks, orders.receive)
    await _all(walks, orders.share)
    for walk in walks:
        walk.guild.upload_limit = 10 * 2**20
    vidgo.set_result(COVER, "generate_cover")
    await _all(walks, orders.paint)


def _finish(stage: Stage, title: str, error_message: str | None = None) -> None:
    for task in list(stage.vidgo.tasks.values()):
        if task.title == title and task.status != "finished":
            stage.vidgo.finish(task, error_message=error_message)
