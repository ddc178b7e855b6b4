"""VidGo's known reasons for making nothing, in our own words, and whether that costs anything."""

from __future__ import annotations

import re

from bot.vidgo import CoverArt, CoverAudio
from bot.words.text import Text, _n
from storage.schema import TaskStatus
from storage.tasks import Task


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL)


_TOO_LONG = r"\b.{0,60}(too long|longer than|exceed|limit|at most|maximum|length)"

_WORDS, _RECORDING, _VIDGO = "words", "recording", "VidGo"
"""What a reason is about."""

# The first that fits says most: lyrics that are somebody else's are not allowed either.
_KNOWN: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        _WORDS,
        _any(
            r"\bartist'?s? name",
            r"\bname of (an|the) artist",
            r"\b(names?|mentions?|references?|specific) (an? )?(artist|singer)",
            r"producer tag",
        ),
        _n(
            "VidGo did not make **{title}**: the words name an artist, which it does not allow. Describe the music "
            "instead."
        ),
    ),
    (
        _RECORDING,
        _any(r"\b(audio|recording|upload|file)\b.{0,60}(copyright|existing work|match)", r"existing work of art"),
        _n("VidGo did not make **{title}**: it takes the recording for somebody else's work."),
    ),
    (
        _WORDS,
        _any(r"copyright", r"\bexisting (lyrics|song)", r"\bprotected lyrics"),
        _n("VidGo did not make **{title}**: it takes the words for somebody else's. Use words of your own."),
    ),
    (
        _WORDS,
        _any(
            r"moderat",
            r"\bcontent[ _-](policy|safety|filter|violation)",
            r"\b(sensitive|prohibited|inappropriate|nsfw|forbidden word)",
            r"\bviolat\w* .{0,60}(polic|guideline|terms|rule)",
        ),
        _n("VidGo did not make **{title}**: its rules do not allow some of the words. Change them and try again."),
    ),
    (
        _WORDS,
        _any(r"\btitle" + _TOO_LONG),
        _n("VidGo did not make **{title}**: the title is too long for it. Choose a shorter one."),
    ),
    (
        _WORDS,
        _any(
            r"\b(style|tags?)" + _TOO_LONG,
            r"\b(style|tags?)\b.{0,60}(invalid|not (a )?valid|unsupported|not supported|required|empty)",
            r"\b(invalid|unsupported|unknown) (style|tags?)",
        ),
        _n("VidGo did not make **{title}**: it does not take the style. Say it shorter, or in other words."),
    ),
    (
        _RECORDING,
        _any(r"\b(audio|recording|duration|upload\w*|file|track)" + _TOO_LONG),
        _n("VidGo did not make **{title}**: the recording is too long for it."),
    ),
    (
        _WORDS,
        _any(r"\b(prompt|lyrics|text|content|input)" + _TOO_LONG, r"\btoo long\b"),
        _n("VidGo did not make **{title}**: the words are too long for it. Shorten them and try again."),
    ),
    (
        _RECORDING,
        _any(
            r"\b(fetch|download|access|retrieve|read|decode|open|load)\w*.{0,40}\b(audio|recording|upload|file|url)",
            r"\b(audio|file|upload)\w*.{0,40}(corrupt|unsupported|not supported|invalid|unreadable|format)",
        ),
        _n("VidGo did not make **{title}**: it could not get or read the recording. Try again later."),
    ),
    (
        _VIDGO,
        _any(
            r"\b(internal|server|system|unknown) (server )?(error|exception|busy)",
            r"\bgeneration (failed|error)",
            r"\btime[ds]? ?out\b",
            r"\bservice unavailable",
        ),
        _n("Something went wrong at VidGo while it made **{title}**. Try again later."),
    ),
)

_WITH_REASON = {
    "content": _n("VidGo refused the content of **{title}** and says: “{reason}”. Change the words and try again."),
    "invalid": _n("VidGo did not accept the order for **{title}** and says: “{reason}”."),
    "failed": _n("VidGo could not make **{title}** and says: “{reason}”."),
}
_WITHOUT = {
    "content": _n("VidGo refused the content of **{title}** and gives no reason. Change the words and try again."),
    "invalid": _n("VidGo did not accept the order for **{title}** and gives no reason."),
    "failed": _n("VidGo could not make **{title}** and gives no reason. Try again later."),
}

_NO_REASON = re.compile(r"(error \d+ without a reason)?[\s.!?]*", re.ASCII)
"""Nothing, or what the client says in the place of nothing."""

_NEVER_TAKEN = ("content", "credits", "duplicate", "invalid", "key", "missing", "source", "version")
_SAY_IT = ("busy", "cancelled")
"""Ends whose own sentence says that no credits were used."""


def refusal(task: Task) -> Text:
    """Say why VidGo refused an order's content or form, or failed to make it: as far as it is known in our own words.

    What is not known is quoted, and told as VidGo's.
    """
    kind, reason = task.error_kind or "", task.error or ""
    about, template = next(((about, template) for about, known, template in _KNOWN if known.search(reason)), ("", ""))
    if about and _has(task, about):
        return Text(template, title=task.title)
    if kind == "content" and not _has(task, _WORDS):
        kind = "invalid"
    if _NO_REASON.fullmatch(reason):
        return Text(_WITHOUT[kind], title=task.title)
    return Text(_WITH_REASON[kind], title=task.title, reason=reason.rstrip(" .!"))


def _has(task: Task, about: str) -> bool:
    """Tell whether an order has what a reason is about, so that who reads it knows what is meant and can change it."""
    if about == _WORDS:
        return task.model != CoverArt.model
    return about == _VIDGO or task.model == CoverAudio.model


def has_reason(task: Task) -> bool:
    """Tell whether what VidGo says of a task's end is the reason, and not only what the bot has seen."""
    return task.error_kind in _WITH_REASON


def nothing_used() -> Text:
    """Say that an order that was refused cost nothing."""
    return Text("No credits were used.")


def charge(task: Task) -> Text | None:
    """Say whether an order that nothing came of was charged, where its end does not say so itself."""
    if task.error_kind in _SAY_IT:
        return None
    if task.error_kind in _NEVER_TAKEN and task.status is TaskStatus.FAILED and task.tries == 0:
        return nothing_used()
    if task.error_kind == "failed":
        return Text("VidGo charges nothing for what it could not make.")
    return Text("VidGo may have charged for it.")
