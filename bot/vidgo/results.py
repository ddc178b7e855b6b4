"""What VidGo says about a task: its status and the files it made.

The documents contradict each other about the result of ``generate-music-cover`` (pictures in
``generate_cover``, pictures in ``image_url``, prose about audio), and real answers differ from the documents,
so every form that was ever described or seen is accepted here.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from bot.vidgo.errors import Nonsense
from bot.vidgo.reading import (
    MAX_URL,
    decoded,
    http_url,
    identifier,
    number,
    one_line,
    shown_url,
    task_id_of,
    task_of,
    text,
)

MAX_FILES = 20
MAX_IMAGES = 20
_MAX_ITEMS = 100
_MAX_TITLE = 300
_MAX_TAGS = 1000
_MAX_STATUS = 64
_MAX_DURATION = 24 * 3600.0
_MAX_CREDITS = 1e9

_AUDIO_KEYS = ("audio_url", "audioUrl", "wav_url")
_IMAGE_KEYS = ("generate_cover", "image_url", "imageUrl", "image_urls", "imageUrls", "images")
_PLAIN_KEYS = ("file_url", "url")
_AUDIO_ID_KEYS = ("audio_id", "audioId", "file_id", "fileId", "song_id", "songId", "id")
_SUFFIXES = {
    "audio": {".mp3", ".wav", ".flac", ".m4a", ".aac", ".ogg", ".opus"},
    "image": {".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif"},
    "other": {".mp4", ".webm", ".mov", ".mkv", ".json", ".txt", ".lrc", ".srt"},
}
_NOTHING = frozenset({"", "null", "none", "undefined"})


class Status(enum.Enum):
    """Where a task stands."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    UNKNOWN = "unknown"


_STATUSES = {
    **dict.fromkeys(("not_started", "queued", "pending", "submitted"), Status.WAITING),
    **dict.fromkeys(("running", "processing", "started", "in_progress"), Status.RUNNING),
    **dict.fromkeys(("finished", "completed", "complete", "success", "succeeded", "done"), Status.FINISHED),
    **dict.fromkeys(("failed", "error", "cancelled", "canceled", "expired", "timeout"), Status.FAILED),
}


@dataclass(frozen=True, slots=True)
class Unusable:
    """An address that was named and cannot be used, as it can be logged. ``kind`` is audio, image or other."""

    kind: str
    address: str


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One entry of a result. ``duration`` is in seconds; every URL is http(s) and otherwise unchecked.

    ``unusable`` are the addresses that were named and cannot be used.
    """

    audio_url: str | None = None
    image_urls: tuple[str, ...] = ()
    title: str = ""
    tags: str = ""
    duration: float | None = None
    audio_id: str | None = None
    unusable: tuple[Unusable, ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """VidGo's answer to an order that it takes. ``credits`` is what it will cost, where VidGo tells it already."""

    task_id: str
    credits: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What VidGo says about a task now.

    ``files`` holds only entries with at least one usable URL, in VidGo's order; ``unusable`` are the addresses of all
    entries that cannot be used, for what is there and cannot be had is not the same as what is not there.
    ``credits`` is what the task costs, where VidGo tells it.
    ``raw_status`` is VidGo's own word. A status of ``UNKNOWN`` is none of the known words: keep asking.
    """

    task_id: str
    status: Status
    files: tuple[ResultFile, ...] = ()
    error_message: str | None = None
    raw_status: str = ""
    unusable: tuple[Unusable, ...] = ()
    credits: float | None = None

    @property
    def has_audio(self) -> bool:
        """Tell whether any entry has audio."""
        return any(file.audio_url for file in self.files)

    @property
    def has_images(self) -> bool:
        """Tell whether any entry has a picture."""
        return any(file.image_urls for file in self.files)

    @property
    def hides_audio(self) -> bool:
        """Tell whether there is audio, but nowhere that it can be fetched from; no artwork stands in for that."""
        return not self.has_audio and any(one.kind == "audio" for one in self.unusable)

    @property
    def usable(self) -> bool:
        """Tell whether there is anything to fetch; a finished task without is charged and not to be repeated."""
        return self.has_audio or self.has_images


def parse_callback(body: object) -> Report:
    """Read the decoded JSON body of a callback, wrapped or flat. Raises `Nonsense` if it is no VidGo result."""
    task = task_of(body)
    task_id = task_id_of(task)
    if task_id is None or not _raw_status(task):
        raise Nonsense("the callback names no task and status")
    return report_of(task, task_id)


def report_of(task: dict[str, Any], task_id: str, secrets: Iterable[str] = ()) -> Report:
    """Read a task object, which need not name `task_id` itself; `secrets` are kept out of the error message."""
    raw_status = _raw_status(task)
    entries = list(_apart(_file(item) for item in _items(task.get("files"))))
    word = raw_status.strip().lower().replace(" ", "_").replace("-", "_")
    return Report(
        task_id=task_id_of(task) or task_id,
        status=_STATUSES.get(word, Status.UNKNOWN),
        files=tuple(islice((file for file in entries if file.audio_url or file.image_urls), MAX_FILES)),
        error_message=_error_message(task, secrets),
        raw_status=raw_status,
        unusable=tuple(islice((one for file in entries for one in file.unusable), MAX_FILES)),
        credits=credits_of(task),
    )


def credits_of(task: dict[str, Any]) -> float | None:
    """Return what a task object says that the task costs."""
    amount = number(task.get("credits_amount"))
    return amount if amount is not None and 0 <= amount <= _MAX_CREDITS else None


def _raw_status(task: dict[str, Any]) -> str:
    return text(task.get("status"), _MAX_STATUS)


def _error_message(task: dict[str, Any], secrets: Iterable[str]) -> str | None:
    for value in (task.get("error_message"), task.get("error")):
        words = value.get("message") if isinstance(value, dict) else value
        if isinstance(words, str) and (line := one_line(words, secrets)).lower() not in _NOTHING:
            return line
    return None


def _items(value: object) -> list[Any]:
    """Return the items of a list, or a single value as a list of one, decoding strings of JSON."""
    value = decoded(value)
    if isinstance(value, list):
        return value[:_MAX_ITEMS]
    return [] if value is None else [value]


def _apart(entries: Iterable[ResultFile]) -> Iterator[ResultFile]:
    """Yield the entries of a result, each address once: named again, it is no other version and no other picture."""
    songs: set[str] = set()
    pictures: set[str] = set()
    for file in entries:
        if file.audio_url is None:
            yield replace(file, image_urls=tuple(url for url in file.image_urls if url not in pictures))
            pictures.update(file.image_urls)
        elif file.audio_url not in songs:
            yield file
            songs.add(file.audio_url)


def _file(entry: object) -> ResultFile:
    entry = decoded(entry)
    if isinstance(entry, str) and "/" in entry:  # a word alone is no address, not even an unusable one
        entry = {"url": entry}
    if not isinstance(entry, dict):
        return ResultFile()
    found = [(kind, url, http_url(url)) for kind, url in islice(_sorted_urls(entry), _MAX_ITEMS)]
    images = dict.fromkeys(url for kind, _, url in found if kind == "image" and url)
    tags = entry.get("tags")
    if isinstance(tags, list):
        tags = ", ".join(tag for tag in tags[:_MAX_ITEMS] if isinstance(tag, str))
    duration = number(entry.get("duration"))
    return ResultFile(
        audio_url=next((url for kind, _, url in found if kind == "audio" and url), None),
        image_urls=tuple(images)[:MAX_IMAGES],
        title=text(entry.get("title"), _MAX_TITLE),
        tags=text(tags, _MAX_TAGS),
        duration=duration if duration is not None and 0 < duration <= _MAX_DURATION else None,
        audio_id=next(filter(None, (identifier(entry.get(key)) for key in _AUDIO_ID_KEYS)), None),
        unusable=tuple(Unusable(kind, shown_url(named)) for kind, named, url in found if url is None),
    )


def _sorted_urls(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (kind, address) of everything named in an entry: the named fields first, then the unnamed ones."""
    for key in _AUDIO_KEYS:
        for url in _named(entry.get(key)):
            yield "audio", url
    for key in _IMAGE_KEYS:
        yield from _picture_urls(entry.get(key))
    for key in _PLAIN_KEYS:
        # A client of the music models met audio in these unnamed fields, so audio is the better guess.
        for url in _named(entry.get(key)):
            yield _kind(url, entry.get("file_type"), otherwise="audio"), url
    yield from _unnamed(entry)


def _unnamed(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what stands under other names where none of the known ones is there, if its suffix tells what it is."""
    for kind, known in (("audio", _AUDIO_KEYS), ("image", _IMAGE_KEYS)):
        if any(entry.get(key) for key in (*known, *_PLAIN_KEYS)):
            continue
        for key, value in islice(entry.items(), _MAX_ITEMS):
            if "url" in key.lower() and isinstance(value, str) and http_url(value) and _kind(value, None, "") == kind:
                yield kind, value


def _picture_urls(value: object) -> Iterator[tuple[str, str]]:
    """Yield (kind, address) of a picture field: a URL, an object, or lists of either."""
    for leaf in islice(_leaves(value, depth=3), _MAX_ITEMS):
        item = leaf if isinstance(leaf, dict) else {"url": leaf}
        for url in _named(item.get("audio_url")):
            yield "audio", url
        for key in ("file_url", "image_url", "url"):
            for url in _named(item.get(key)):
                yield _kind(url, item.get("file_type"), otherwise="image"), url


def _named(value: object) -> Iterator[str]:
    """Yield what stands in the place of an address, usable or not, unless it says that there is none."""
    for item in _items(value):
        if isinstance(item, dict) and item:
            inside = (item.get(key) for key in _PLAIN_KEYS)
            yield next((url for url in inside if isinstance(url, str) and url), "an object")
        elif isinstance(item, str) and item.strip().lower() not in _NOTHING and item.strip()[0] not in '{["':
            yield item  # broken JSON is no address at all


def _leaves(value: object, depth: int) -> Iterator[Any]:
    """Yield what is no list, out of lists and of objects that hold a list of pictures."""
    for undecoded in _items(value):
        item = decoded(undecoded)
        if not isinstance(item, list):
            yield item
        nested = (item.get("images") or item.get("image_urls")) if isinstance(item, dict) else item
        if depth > 0 and isinstance(nested, list):
            yield from _leaves(nested, depth - 1)


def _kind(url: str, file_type: object, otherwise: str) -> str:
    """Return audio, image or other, by the stated type, then by the path's suffix."""
    stated = file_type.lower() if isinstance(file_type, str) else ""
    # By hand: what cannot be used may be nothing that a parser takes.
    path = url[:MAX_URL].partition("?")[0].partition("#")[0].partition("://")[2].partition("/")[2]
    suffix = PurePosixPath(path.strip()).suffix.lower()
    for kind, suffixes in _SUFFIXES.items():
        if stated.startswith(kind) or f".{stated}" in suffixes:
            return kind
    return next((kind for kind, suffixes in _SUFFIXES.items() if suffix in suffixes), otherwise)
