"""Tasks, and the shapes in which their results arrive: the documented ones and those that real clients have met."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.music import seconds_for_size
from sandbox.vidgo.records import FINAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.vidgo.records import FileRule, Json, Media, Status, Variant

PICTURES = 2  # the upstream makes two in different styles
PRIVATE_URL = "http://10.0.0.7/internal/result"

LONG_URL = 2_400  # characters; many clients and databases stop at 2,048

DEFAULT_SHAPES = {
    "generate-music": "audio",
    "extend-music": "audio",
    "upload-and-cover-audio": "audio",
    "generate-music-cover": "generate_cover",
    "generate-lyrics": "lyrics",
    "convert-to-wav": "wav",
}


@dataclass(eq=False)
class Task:
    """A task of the provider; `status` is the truth, which an answer may report late or in other words.

    `accepted_at`, `visible_at` (its end) and `files_at` are Unix seconds from which answers know of it.
    """

    id: str
    model: str
    input: Json
    callback_url: str | None
    created_time: str
    origin: str
    title: str = ""
    price: int = 0
    status: Status = "not_started"
    error_message: str | None = None
    source: Task | None = None
    products: list[Task] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    shape: str = ""
    file_rules: dict[Media, FileRule] = field(default_factory=dict)
    expired: bool = False
    accepted_at: float = 0.0
    visible_at: float = 0.0
    files_at: float = 0.0

    @property
    def final(self) -> bool:
        """Return whether the task has ended."""
        return self.status in FINAL

    @property
    def files(self) -> list[Json] | None:
        """Return `files` as the API answers it once the task is finished."""
        return SHAPES[self.shape](self) if self.status == "finished" else []


def file_url(task: Task, name: str, media: Media) -> str:
    """Return where the result file `name` is, or the address that the task's file rule gives instead."""
    rule = task.file_rules.get(media)
    if rule is not None and rule.kind in {"private", "url"}:
        return rule.location or f"{PRIVATE_URL}/{name}"
    if rule is not None and rule.kind == "spaced":
        name = f"{task.title} {name}"
    if rule is not None and rule.kind == "long":
        name += "?signature=" + "0123456789abcdef" * (LONG_URL // 16)
    return f"{task.origin}/files/{task.id}/{name}"


def duration_of(variant: Variant, rule: FileRule | None) -> float:
    """Return the real length of a variant's audio, in seconds."""
    if rule is not None and rule.kind == "size":
        return seconds_for_size(rule.size, "mp3")
    return variant.duration


def payload(
    task: Task, *, status: str, files: list[Json] | None, error_message: str | None = None, extra: Json | None = None
) -> Json:
    """Return a task as it stands inside `data` of an answer, and alone in an unwrapped callback."""
    data: Json = {
        "task_id": task.id,
        "status": status,
        "files": files,
        "created_time": task.created_time,
        "error_message": error_message,
        **(extra or {}),
    }
    if task.shape == "missing_files":
        del data["files"]
    return data


def _audio(task: Task) -> list[Json]:
    return [_audio_entry(task, number, variant) for number, variant in enumerate(task.variants, 1)]


def _audio_entry(task: Task, number: int, variant: Variant) -> Json:
    seconds = duration_of(variant, task.file_rules.get("audio"))
    return {
        "audio_id": variant.audio_id,
        "audio_url": file_url(task, f"{number}.mp3", "audio"),
        "image_url": file_url(task, f"{number}.jpeg", "image"),
        "title": variant.title,
        "tags": variant.tags,
        "duration": int(seconds) if seconds == int(seconds) else round(seconds, 3),
        "prompt": variant.prompt,
    }


def _without(name: str) -> Callable[[Task], list[Json]]:
    return lambda task: [{key: value for key, value in entry.items() if key != name} for entry in _audio(task)]


def _pictures(task: Task) -> list[str]:
    return [file_url(task, f"cover-{number}.png", "image") for number in range(1, PICTURES + 1)]


def _objects(task: Task) -> list[Json]:
    return [{"file_url": url, "file_type": "image"} for url in _pictures(task)]


def _cover(make: Callable[[Task], Any]) -> Callable[[Task], list[Json]]:
    return lambda task: [{"generate_cover": make(task)}]


def _repeated_pictures(task: Task) -> list[str]:
    first, second = _pictures(task)
    return [first, "", second, first]


def _lyrics(task: Task) -> list[Json]:
    subject = " ".join(str(task.input.get("prompt", "")).split()[:4]) or "Nothing"
    return [
        {
            "title": f"{subject} ({mood})",
            "text": f"[Verse]\n{subject}, {line}\n\n[Chorus]\nSing it once again\n",
        }
        for mood, line in (("bright", "lanterns on the water"), ("dark", "the tide is going out"))
    ]


def _wav(task: Task) -> list[Json]:
    return [{"wav_url": file_url(task, "1.wav", "audio")}]


SHAPES: dict[str, Callable[[Task], list[Json] | None]] = {
    "audio": _audio,
    "audio_one": lambda task: _audio(task)[:1],
    "audio_no_id": _without("audio_id"),
    "audio_no_image": _without("image_url"),
    "generate_cover": _cover(lambda task: json.dumps(_objects(task))),
    "generate_cover_double": _cover(lambda task: json.dumps(json.dumps(_objects(task)))),
    "generate_cover_list": _cover(_objects),
    "generate_cover_object": _cover(lambda task: _objects(task)[0]),
    "generate_cover_urls": _cover(lambda task: json.dumps(_pictures(task))),
    "generate_cover_url": _cover(lambda task: _pictures(task)[0]),
    "generate_cover_empty": _cover(lambda _: "[]"),
    "generate_cover_broken": _cover(lambda task: json.dumps(_objects(task))[:-9]),
    "image_url": lambda task: [{"image_url": _pictures(task)[0]}],
    "image_url_list": lambda task: [{"image_url": _repeated_pictures(task)}],
    "images": lambda task: [{"images": _pictures(task)}],
    "lyrics": _lyrics,
    "wav": _wav,
    "no_files": lambda _: [],
    "null_files": lambda _: None,
    "missing_files": lambda _: [],
}
