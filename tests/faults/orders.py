"""What members have asked for: the first of the ledgers, and by what each of its lines is known in the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sandbox.discord import Call, Channel, Member, Message

COVER = "generate-music-cover"
SONG = "generate-music"
EXTENSION = "extend-music"
PERFORMANCE = "upload-and-cover-audio"
MODELS = {COVER: ("task_id",), SONG: ("prompt",), EXTENSION: ("audio_id",), PERFORMANCE: ("prompt", "style")}
"""What is ordered here, with the field by which one order is told from another, in VidGo's words or ours."""

Kind = Literal["cover", "generate", "again", "refused", "import", "extend", "post", "library", "forget", "recording"]
ORDERED: dict[Kind, str] = {"cover": COVER, "generate": SONG, "again": SONG, "extend": EXTENSION}
ORDERED["recording"] = PERFORMANCE


def key_of(model: object, fields: object) -> tuple[str, str]:
    """Return by what an order is known, of VidGo's name for what is made and the fields of the request."""
    known: dict[str, object] = fields if isinstance(fields, dict) else {}
    return str(model), str(next((known[name] for name in MODELS.get(str(model), ()) if name in known), None))


@dataclass(eq=False, repr=False)
class Order:
    """What one member asked for once in one channel; by these two the ledgers find it."""

    kind: Kind
    member: Member
    channel: Channel
    key: str
    """The id of VidGo's song for a cover, the prompt for a new song, the id of its audio for an extension."""
    call: Call
    life: int
    """Which life of the program the command was sent to."""
    stopped: bool = False
    """Whether the member has pressed *Don't post*."""
    unreachable: bool = False
    """Whether every way to the member is closed."""
    untold: int = 0
    """How often the program died with a private sentence said that was not recorded yet."""
    due: bool = False
    """Whether nothing stands in the way of its result for good, so that any other end is a loss."""
    patience: float | None = None
    """Within how many seconds of its end at VidGo the member has to have it; None: nobody looks."""

    @property
    def model(self) -> str | None:
        """Return VidGo's name for what is ordered, None where nothing is."""
        return ORDERED.get(self.kind)

    @property
    def wanted(self) -> tuple[str, str]:
        """Return by what VidGo's submissions and the rows of tasks for it are known."""
        return self.model or "", self.key

    @property
    def place(self) -> tuple[int, int]:
        """Return the member's and the channel's id, which stand in the database too."""
        return self.member.id, self.channel.id

    @property
    def public(self) -> Message | None:
        """Return the acknowledgement, if everybody can see it."""
        message = self.call.original
        return message if message is not None and not message.ephemeral and not message.deleted else None

    @property
    def sentences(self) -> list[Message]:
        """Return what only the member was told, in the channel or directly."""
        call = self.call
        said = [call.original, *call.followups] if call.original not in call.followups else call.followups
        private = [one for one in said if one is not None and one.ephemeral and one.substantial and not one.deleted]
        direct = call.channel.state.directs.get(self.member.id)
        return private + (list(direct.history.values()) if direct is not None else [])
