"""What can be asked of VidGo, in its own words.

Field rules and limits are those of docs.vidgo.ai (music series). Only documented keys are sent, because some
models refuse unknown ones.
"""

from __future__ import annotations

import abc
import dataclasses
import re
from typing import Annotated, Any, ClassVar

from pydantic import StringConstraints
from pydantic.dataclasses import dataclass

from bot.vidgo.reading import storable

ModelVersion = Annotated[str, StringConstraints(min_length=2, max_length=40)]
"""Not only those that are documented today: VidGo adds some and drops others."""

# VidGo's page on generate-music allows 80 for every version, its other pages allow 100 for most of them.
MAX_TITLE = 80
MAX_SIMPLE_PROMPT = 500
_MAX_PROMPT = {"V4": 3000}
_MAX_STYLE = {"V4": 200}
_MAX_SOURCE_SECONDS = {"V4_5ALL": 60.0}
_SECTION_MARK = re.compile(r"[\[(][^\])]{0,40}[\])]")


class SubmitRequest(abc.ABC):
    """A request for one task; `model` is VidGo's name for what it makes.

    ``callback_required`` says that VidGo's schema insists on a callback URL, ``needs_source`` that the request
    builds on an earlier result of VidGo's.
    """

    model: ClassVar[str]
    callback_required: ClassVar[bool] = False
    needs_source: ClassVar[bool] = False

    @abc.abstractmethod
    def input(self) -> dict[str, Any]:
        """Return the request's ``input`` object, with every text cut to VidGo's limits (in characters)."""

    def dump(self) -> dict[str, Any]:
        """Return the fields that are set, as JSON values for `load_request`."""
        fields = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))  # type: ignore[arg-type]  # each request is one
        return {name: value for name, value in fields if value is not None}


@dataclass(frozen=True)
class GenerateMusic(SubmitRequest):
    """Make a song.

    With a style, VidGo sings `prompt` word for word (custom mode), without one `prompt` describes the song and
    at most 500 characters of it count (simple mode). An instrumental is always custom mode, since VidGo
    refuses instrumentals in simple mode; it has no words to sing, so there the prompt joins the style.
    """

    model: ClassVar[str] = "generate-music"

    prompt: str
    style: str | None = None
    title: str | None = None
    instrumental: bool = False
    mv: ModelVersion = "V5"

    @property
    def custom_mode(self) -> bool:
        """Tell whether VidGo's custom mode is used."""
        return self.instrumental or bool(_clean(self.style))

    def input(self) -> dict[str, Any]:
        """Return the request's ``input`` object."""
        body: dict[str, Any] = {"custom_mode": self.custom_mode, "instrumental": self.instrumental, "mv": self.mv}
        prompt, style = _clean(self.prompt), _clean(self.style)
        if not self.custom_mode:
            return body | {"prompt": prompt[:MAX_SIMPLE_PROMPT]}
        body |= {"title": (_clean(self.title) or _title_from(prompt))[:MAX_TITLE]}
        if self.instrumental:
            described = ", ".join(filter(None, (style, " ".join(prompt.split()))))
            return body | {"style": _cut_style(described or "instrumental", self.mv)}
        return body | {"style": _cut_style(style, self.mv), "prompt": _cut_prompt(prompt, self.mv)}


@dataclass(frozen=True)
class ExtendMusic(SubmitRequest):
    """Continue a track from `continue_at` (seconds into it).

    VidGo wants prompt, style, title and continue_at together or not at all: unless all four are set, none is
    sent and the continuation inherits everything from the track.
    """

    model: ClassVar[str] = "extend-music"
    needs_source: ClassVar[bool] = True

    audio_id: str
    prompt: str | None = None
    style: str | None = None
    title: str | None = None
    continue_at: float | None = None
    mv: ModelVersion = "V5"

    @property
    def own_parameters(self) -> bool:
        """Tell whether the continuation has its own prompt, style, title and starting point."""
        texts = (self.prompt, self.style, self.title)
        return all(map(_clean, texts)) and self.continue_at is not None

    def input(self) -> dict[str, Any]:
        """Return the request's ``input`` object."""
        body = {"default_param_flag": self.own_parameters, "audio_id": self.audio_id, "mv": self.mv}
        if not self.own_parameters or self.continue_at is None:
            return body
        at = self.continue_at
        return body | {
            "prompt": _cut_prompt(_clean(self.prompt), self.mv),
            "style": _cut_style(_clean(self.style), self.mv),
            "title": _clean(self.title)[:MAX_TITLE],
            "continue_at": int(at) if at.is_integer() else at,
        }


@dataclass(frozen=True)
class CoverAudio(SubmitRequest):
    """Perform the recording at `upload_url` anew in another style; VidGo fetches it, at most 8 minutes of audio.

    `prompt` is the lyrics to sing. Without lyrics, and unless it is an instrumental, VidGo's custom mode is
    not allowed; then the style is the description in simple mode and VidGo writes the words.
    """

    model: ClassVar[str] = "upload-and-cover-audio"

    upload_url: str
    style: str
    title: str
    prompt: str | None = None
    instrumental: bool = False
    mv: ModelVersion = "V5"

    @staticmethod
    def longest_source(mv: ModelVersion) -> float:
        """Return how many seconds of a recording a version takes."""
        return _MAX_SOURCE_SECONDS.get(mv, 8 * 60.0)

    @property
    def custom_mode(self) -> bool:
        """Tell whether VidGo's custom mode is used."""
        return self.instrumental or bool(_clean(self.prompt))

    def input(self) -> dict[str, Any]:
        """Return the request's ``input`` object."""
        body = {
            "upload_url": self.upload_url,
            "custom_mode": self.custom_mode,
            "instrumental": self.instrumental,
            "mv": self.mv,
        }
        prompt, style = _clean(self.prompt), _clean(self.style)
        if not self.custom_mode:
            return body | {"prompt": style[:MAX_SIMPLE_PROMPT]}
        body |= {
            "style": _cut_style(style, self.mv),
            "title": (_clean(self.title) or _title_from(style))[:MAX_TITLE],
        }
        return body if self.instrumental else body | {"prompt": _cut_prompt(prompt, self.mv)}


@dataclass(frozen=True)
class CoverArt(SubmitRequest):
    """Make the cover of a finished song: artwork by VidGo's result fields, a new version by its prose.

    `task_id` is VidGo's id of a generate-music or extend-music task. VidGo makes one cover per task.
    """

    model: ClassVar[str] = "generate-music-cover"
    callback_required: ClassVar[bool] = True
    needs_source: ClassVar[bool] = True

    task_id: str

    def input(self) -> dict[str, Any]:
        """Return the request's ``input`` object."""
        return {"task_id": self.task_id}


_BY_MODEL: dict[str, type[GenerateMusic | ExtendMusic | CoverAudio | CoverArt]] = {
    kind.model: kind for kind in (GenerateMusic, ExtendMusic, CoverAudio, CoverArt)
}

MODELS = tuple(_BY_MODEL)
"""What can be ordered."""


def load_request(model: str, fields: dict[str, Any]) -> SubmitRequest:
    """Return the request whose `dump` gave `fields`, which may hold more than this version of the bot knows.

    Raises ValueError for an unknown model and for missing or wrong fields.
    """
    if model not in _BY_MODEL:
        raise ValueError(f"no request is known for the model {model!r}")
    return _BY_MODEL[model](**fields)


def _clean(value: str | None) -> str:
    return storable(value, len(value)).strip() if value else ""


def _cut_prompt(prompt: str, mv: ModelVersion) -> str:
    return prompt[: _MAX_PROMPT.get(mv, 5000)]


def _cut_style(style: str, mv: ModelVersion) -> str:
    return style[: _MAX_STYLE.get(mv, 1000)]


def _title_from(prompt: str) -> str:
    """Return the first line that is more than a section mark such as ``[Verse]``, cut between words."""
    lines = (" ".join(_SECTION_MARK.sub(" ", line).split()) for line in prompt.splitlines())
    line = next(filter(None, lines), "Untitled")
    if len(line) <= MAX_TITLE:
        return line
    return line[: MAX_TITLE + 1].rpartition(" ")[0] or line[:MAX_TITLE]
