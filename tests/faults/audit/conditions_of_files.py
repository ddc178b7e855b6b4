"""What has to be so that a sentence about files is true."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import av

from tests.faults.audit.conditions import GONE, STAYS_SECONDS, Case, stays

if TYPE_CHECKING:
    from sandbox.vidgo import RequestRecord, Task

KEPT_SECONDS = 86400.0
"""How long VidGo keeps files; what is older may be gone at the first look."""

SLOW_SECONDS = 10.0
"""How long a file may be on its way until its member is told that it has not come yet."""

_NO_MEDIA = {"html", "empty", "not_found"}
_SLOW = {"trickle", "hang", "reset", "lying_length", "short_length", "url"}
_UNUSABLE = {"disguised", "broken", "endless", "too_large", "private", "redirect_loop"}


def file_gone(case: Case) -> str | None:
    """Demand that the host has said for long that it has no file of the result."""
    for task in case.made:
        media = "audio" if case.ledgers.has_audio(task) else "image"
        if _is_gone(case, task, media):
            return None
    return "the host has not said so for long"


def source_gone(case: Case) -> str | None:
    """Demand that the host has said for long that it has no audio of the song that the cover is made from."""
    song = case.ledgers.source(case.order)
    return None if song is not None and _is_gone(case, song, "audio") else "the host has not said so for long"


def _is_gone(case: Case, task: Task, media: str) -> bool:
    answers = case.ledgers.file_answers(task, media, case.shown.at)
    if case.shown.at - task.accepted_at > KEPT_SECONDS:
        return bool(answers) and answers[-1].status in GONE
    return stays(answers, case.shown.at)


def no_music(case: Case) -> str | None:
    """Demand that what VidGo hands out cannot be played, and was so for long where it is nothing at all."""
    rules = [rule for task in case.finished() if (rule := task.file_rules.get("audio")) is not None]
    if any(rule.kind in _UNUSABLE or (rule.kind == "bytes" and not is_music(rule.data)) for rule in rules):
        return None
    if not any(rule.kind in _NO_MEDIA and rule.lasting is None for rule in rules):
        return "VidGo hands out music"
    return None if case.finished(STAYS_SECONDS) else "it was young, and nothing had come yet"


def is_music(data: bytes) -> bool:
    """Tell whether a decoder finds sound in some bytes."""
    try:
        with av.open(io.BytesIO(data), "r") as container:
            return any(frame.samples for frame in container.decode(audio=0))
    except (av.FFmpegError, IndexError, EOFError):
        return False


def bad_address(case: Case) -> str | None:
    """Demand that VidGo names an address that nobody should fetch anything from."""
    rules = [rule for task in case.made for rule in task.file_rules.values()]
    return None if any(rule.kind in {"private", "url"} for rule in rules) else "VidGo names good addresses"


def not_to_be_had(case: Case) -> str | None:
    """Demand that a file was asked for in vain, or took long to come."""
    return None if case.finished(SLOW_SECONDS) else _in_vain(case)


def _in_vain(case: Case) -> str | None:
    """Demand that a file of the finished result, or of the song it is made from, was asked for in vain."""
    tasks = [*case.finished(), *filter(None, [case.ledgers.source(case.order)])]
    asked = [one for task in tasks for media in ("audio", "image") for one in _answers(case, task, media)]
    rules = [rule for task in tasks for rule in task.file_rules.values()]
    bad = _NO_MEDIA | _SLOW | {"disguised"}  # a picture where the song should be
    failed = any(one.status != 200 for one in asked) or any(rule.kind in bad for rule in rules)
    return None if case.finished() and failed else "every file came when it was asked for"


def never_came(case: Case) -> str | None:
    """Demand that nothing that can be used came for long."""
    if _in_vain(case) is not None:
        return "every file came when it was asked for"
    return None if case.finished(STAYS_SECONDS) else "it was young"


def no_picture(case: Case) -> str | None:
    """Demand that what should be artwork is none."""
    rules = [rule for task in case.made if (rule := task.file_rules.get("image")) is not None]
    return None if any(rule.kind in _UNUSABLE | {"bytes"} for rule in rules) else "VidGo hands out pictures"


def source_unusable(case: Case) -> str | None:
    """Demand that the song that the cover is made from has no audio that can be used."""
    song = case.ledgers.source(case.order)
    rule = song.file_rules.get("audio") if song is not None else None
    return None if rule is not None and rule.kind in _UNUSABLE | _NO_MEDIA | {"bytes"} else "its audio is music"


def _answers(case: Case, task: Task, media: str) -> list[RequestRecord]:
    return case.ledgers.file_answers(task, media, case.shown.at)


def too_large(case: Case) -> str | None:
    """Demand that the audio is larger than the server takes files, or in a form that it does not play."""
    rules = [task.file_rules.get("audio") for task in case.made]
    return None if any(rule is not None for rule in rules) else "the file is a small one"


def with_music(case: Case) -> str | None:
    """Demand that the post has music in it, and that this is what VidGo made."""
    if not case.shown.has_audio:
        return "the post has no music"
    return None if any(map(case.ledgers.has_audio, case.made)) else "VidGo made no music"


def with_artwork(case: Case) -> str | None:
    """Demand that the post has a picture in it, and that VidGo made nothing else."""
    if not case.shown.has_picture:
        return "the post has no picture"
    return "VidGo made music" if any(map(case.ledgers.has_audio, case.made)) else None
