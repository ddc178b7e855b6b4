"""The ledger of everything that anybody was shown by the bot: each message in each of its versions, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.discord.state.content import Revision, buttons
from sandbox.discord.state.model import LOADING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.discord import Call, Message
    from tests.faults.harness import Stage

AUDIO = (".mp3", ".wav", ".ogg", ".m4a", ".flac", ".opus")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif")


@dataclass(frozen=True)
class Shown:
    """One version of one message: what it said from `at` on, and `until` when, None where it still does.

    Times are true ones, in Unix seconds. `buttons` are custom ids, `links` the addresses of others, `files` the names
    of what came with it. `first` tells whether the message was new.
    """

    message: Message
    text: str
    at: float
    until: float | None
    first: bool
    buttons: tuple[str, ...]
    links: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def call(self) -> Call | None:
        """Return the interaction that it answers."""
        return self.message.interaction_call

    @property
    def taken_back(self) -> bool:
        """Return whether it was a sentence for one member alone that is not there any more, as it was true no more."""
        return self.message.ephemeral and self.message.deleted and not self.files

    @property
    def has_audio(self) -> bool:
        """Return whether there is something to hear."""
        return any(name.lower().endswith(AUDIO) for name in self.files)

    @property
    def has_picture(self) -> bool:
        """Return whether there is something to see besides words."""
        return any(name.lower().endswith(PICTURES) for name in self.files)


def read_shown(stage: Stage) -> list[Shown]:
    """Return everything that was shown, in order."""
    return sorted(
        (shown for message in stage.discord.said for shown in _versions(stage, message)), key=lambda one: one.at
    )


def _versions(stage: Stage, message: Message) -> Iterator[Shown]:
    seen = [revision for revision in message.revisions if revision.content]
    if message.content and not message.flags & LOADING and (not seen or seen[-1].content != message.content):
        # No request has made it say so, but there it stands.
        seen.append(Revision(message.content, [], message.components, [file.filename for file in message.files]))
    for number, revision in enumerate(seen):
        later = next((one for one in seen[number + 1 :] if one.content != revision.content), None)
        if number > 0 and seen[number - 1].content == revision.content:
            continue  # the same once more
        shown = buttons(revision.components)
        yield Shown(
            message,
            revision.content,
            stage.time.at(revision.at),
            stage.time.at(later.at) if later is not None else None,
            number == 0,
            tuple(button.custom_id for button in shown if button.custom_id),
            tuple(button.url for button in shown if button.url),
            tuple(revision.files),
        )
