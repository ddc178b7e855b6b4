"""What can go wrong between the bot and VidGo.

VidGoError
├── KeyRefused        the API key is wrong or may not do this (401, 403)
├── NoCredits         the account is empty (402, or 429 that speaks of credits)
├── Duplicate         the once-only product exists already (409, or 400 that says so)
├── UnknownTask       VidGo does not know this task (404; 400 too when a task is read)
├── SourceNotReady    the song the request builds on is not finished
├── VersionRefused    VidGo does not take the model version that was asked for (400, 404 or 422 that names it)
├── ContentRefused    VidGo will not make this (moderation)
├── InvalidRequest    VidGo refuses the request for another reason (other 4xx)
├── Busy              ask again later (429, 430, 455, 503; no connection could be made, or nothing was let out)
├── AnswerLost        no usable answer (timeout, broken connection, 408, 500, 502, 504, unreadable body)
└── Nonsense          a readable answer that is not one of VidGo's

After a submission only AnswerLost leaves it open whether VidGo has taken the request; after every other
error it certainly has not. After a read AnswerLost and Nonsense both mean: ask again.
"""

# ruff: noqa: N818 (the names say what happened, the tree above says that they are errors)

from __future__ import annotations

import re

from bot.vidgo.reading import one_line


def outcome_of(error: BaseException | None) -> str:
    """Name what came of a request, as metrics do."""
    if error is None:
        return "ok"
    if not isinstance(error, VidGoError):
        return "cancelled"
    if isinstance(error, Busy) and error.code == 429:
        return "rate_limited"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()


class Withheld(ConnectionAbortedError):
    """What whoever watches a session raises to let no request out: it was certainly not sent."""


class VidGoError(Exception):
    """Report that VidGo did not do what was asked.

    ``reason`` is VidGo's own text on one line, at most 300 characters, or ours where VidGo gave none.
    ``code`` is the effective error code: the body's when it is 400 or more, else the HTTP status.
    """

    def __init__(self, message: str, *, code: int | None = None) -> None:
        self.reason = one_line(message)
        self.code = code
        super().__init__(self.reason)


class KeyRefused(VidGoError):
    """Report that the API key is missing, wrong or not allowed to do this."""


class NoCredits(VidGoError):
    """Report that the account has too few credits."""


class Duplicate(VidGoError):
    """Report that this once-only product exists already.

    ``task_id`` is VidGo's id of the earlier task if the answer named one. It may be the id of VidGo's own
    supplier, so adopt it only if `VidGo.detail` knows it.
    """

    def __init__(self, message: str, *, code: int | None = None, task_id: str | None = None) -> None:
        super().__init__(message, code=code)
        self.task_id = task_id


class UnknownTask(VidGoError):
    """Report that VidGo does not know the task."""


class SourceNotReady(VidGoError):
    """Report that the song the request builds on is not finished yet."""


class VersionRefused(VidGoError):
    """Report that VidGo does not take the version of its model that was asked for."""


class ContentRefused(VidGoError):
    """Report that VidGo's moderation refuses the content."""


class InvalidRequest(VidGoError):
    """Report that VidGo refuses the request as it is."""


class Busy(VidGoError):
    """Report that the request was certainly not taken and may be repeated later.

    ``retry_after`` is the wait VidGo asked for, in seconds.
    """

    def __init__(self, message: str, *, code: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class AnswerLost(VidGoError):
    """Report that no usable answer came; a submission may or may not have been taken."""


class Nonsense(VidGoError):
    """Report a readable answer or callback that is not one of VidGo's."""
