"""What can be done to the bot, to VidGo and to Discord while somebody waits for a cover."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.discord.state.permissions import BOT_PERMISSIONS
from sandbox.play.stage import COVER, CREDITS
from sandbox.vidgo.records import CallbackFaults
from sandbox.vidgo.results import DEFAULT_SHAPES
from sandbox.vidgo.rules import error_body

if TYPE_CHECKING:
    from sandbox.play.books import Books
    from sandbox.play.stage import Stage

Json = dict[str, Any]

CALLBACKS = {
    "once": CallbackFaults(),
    "lost": CallbackFaults(never=True),
    "twice": CallbackFaults(repeat=2),
}
VIDGO = ("as usual", "slow", "refuses", "without files")
SLOW_SECONDS = 45.0


class NoSuchMischiefError(ValueError):
    """The page asked for something that cannot be done here."""


class Mischief:
    """Turns what the page's controls say into what the stand-ins do; `settings` says how they are set."""

    def __init__(self, stage: Stage, books: Books) -> None:
        self._stage, self._books = stage, books
        self._seconds = stage.vidgo.seconds
        self._callbacks, self._vidgo = "once", "as usual"

    def settings(self) -> Json:
        """Return how everything is set."""
        return {
            "callbacks": self._callbacks,
            "vidgo": self._vidgo,
            "credits": self._stage.vidgo.credits,
            "permissions": {
                str(channel.id): sorted(channel.bot_permissions)
                for channel in self._stage.guild.channels
                if channel.parent is None
            },
        }

    async def do(self, what: str, value: Any) -> None:
        """Do it; raises `NoSuchMischiefError` for what is not known."""
        if what == "kill":
            await self._stage.kill()
        elif what == "start":
            self._stage.start()
        elif what == "callbacks" and isinstance(value, str) and value in CALLBACKS:
            self._callbacks = value
            self._stage.vidgo.callback_faults = CALLBACKS[value]
        elif what == "vidgo" and value in VIDGO:
            self._set_vidgo(value)
        elif what == "credits" and isinstance(value, bool):
            self._stage.vidgo.credits = CREDITS if value else 0.0
            self._stage.vidgo.changes.notify()
        elif what == "permission" and isinstance(value, dict):
            self._permit(value)
        else:
            raise NoSuchMischiefError(f"there is no {what!r} with {value!r}")

    def _set_vidgo(self, how: str) -> None:
        vidgo = self._stage.vidgo
        self._vidgo = how
        vidgo.seconds = SLOW_SECONDS if how == "slow" else self._seconds
        vidgo.clear_faults("submit")
        if how == "refuses":
            body = error_body(400, "the song could not be processed")
            vidgo.fault("submit", "status", status=400, body=body, times=None)
        for model in DEFAULT_SHAPES:
            usual = "audio_one" if model == COVER else None
            vidgo.set_result(model, "no_files" if how == "without files" else usual)

    def _permit(self, value: Json) -> None:
        places = {str(channel.id): channel for channel in self._stage.guild.channels if channel.parent is None}
        channel, name = places.get(str(value.get("channel"))), value.get("name")
        if channel is None or name not in BOT_PERMISSIONS:
            raise NoSuchMischiefError("there is no such channel or permission")
        chosen = set(channel.bot_permissions)
        chosen.symmetric_difference_update({name} if (name in chosen) is not bool(value.get("granted")) else set())
        channel.bot_permissions = frozenset(chosen)
        self._books.note("stage", f"the bot {'may' if value.get('granted') else 'may not'} {name.replace('_', ' ')}")
