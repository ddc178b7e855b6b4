"""Tell a good answer of VidGo's from a refusal, and name the refusal.

VidGo, PoYo and their upstream answer in several dialects: the error code in the body of an HTTP 200 or the
reverse, success as 0, as 200 or without a code, the reason in half a dozen places.
"""

from __future__ import annotations

import email.utils
import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from bot.vidgo.errors import (
    AnswerLost,
    Busy,
    ContentRefused,
    Duplicate,
    InvalidRequest,
    KeyRefused,
    NoCredits,
    Nonsense,
    SourceNotReady,
    UnknownTask,
    VersionRefused,
    VidGoError,
)
from bot.vidgo.reading import identifier, mapping, number, one_line, task_id_of, task_of

_MAX_RETRY_AFTER = 86_400.0
_MAX_SAID = 2_000
_TYPE_CODES = {
    "authentication_error": 401,
    "insufficient_credits_error": 402,
    "permission_denied_error": 403,
    "resource_not_found_error": 404,
    "timeout_error": 408,
    "conflict_error": 409,
    "rate_limit_error": 429,
    "internal_error": 500,
    "upstream_error": 502,
    "service_error": 503,
}

_CREDITS = re.compile(r"\bcredits?\b|\bbalance\b|insufficient|\bquotas?\b", re.IGNORECASE)
_EXISTS = re.compile(r"\balready\b|\bexists\b|duplicate", re.IGNORECASE)
_UNFINISHED = re.compile(
    r"(not|n't)( yet| been| fully)*[ _](finished|completed?|ready|succeeded)|unfinished", re.IGNORECASE
)
_ONGOING = re.compile(r"in[ _]progress|still|processing|running|pending|not_started|queued", re.IGNORECASE)
_MISSING = re.compile(r"not[ _]found|not exist|n't exist|unknown task|no such", re.IGNORECASE)
_MODERATION = re.compile(
    r"moderat|content[ _-]policy|content[ _-]safety|sensitive|prohibited|inappropriate|copyright|artist name"
    r"|violat\w* .*(polic|guideline|terms)",
    re.IGNORECASE,
)
_VERSION = re.compile(
    r"\bmv\b|\bmodel[ _-]?version|"
    r"\bmodel\b.{0,60}\b(support|available|found|exist|valid|allowed|known|deprecated|retired|removed|discontinued)|"
    r"\b(unsupported|unavailable|unknown|invalid|deprecated|retired|no such)\b.{0,20}\bmodel\b",
    re.IGNORECASE,
)
_TOO_FAST = re.compile(r"too (fast|many|frequent)|slow down|rate[ _]limit|frequency", re.IGNORECASE)
_TRY_AGAIN = re.compile(
    r"(?:in|after|wait)\s+(?:about\s+|another\s+)?([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*"
    r"(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)\b",
    re.IGNORECASE,
)
_SECONDS = {"ms": 0.001, "milli": 0.001, "m": 60.0, "h": 3600.0}


class Question(enum.Enum):
    """What was asked; the same code means different things for different questions."""

    SUBMIT = "submit"
    SUBMIT_ON_SOURCE = "submit on source"
    DETAIL = "detail"
    BALANCE = "balance"

    @property
    def is_submission(self) -> bool:
        """Whether VidGo was asked to make something."""
        return self in (Question.SUBMIT, Question.SUBMIT_ON_SOURCE)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. ``body`` is its JSON; ``readable`` is False if it had none."""

    http_status: int
    body: Any
    readable: bool
    retry_after: str | None = None
    received_at: float = 0.0

    @property
    def envelope(self) -> dict[str, Any]:
        """Return the outer JSON object, empty if there is none."""
        return mapping(self.body)

    @property
    def task(self) -> dict[str, Any]:
        """Return the task object, wrapped or flat."""
        return task_of(self.body)

    @property
    def code(self) -> int | None:
        """Return the body's code: None if absent, -1 if it is no whole number."""
        raw = self.envelope.get("code")
        if raw is None:
            return None
        value = number(raw)
        return int(value) if value is not None and value.is_integer() and abs(value) < 10**9 else -1

    @property
    def effective_code(self) -> int:
        """Return the body's code if it is an error's, else the HTTP status."""
        code = self.code
        return code if code is not None and code >= 400 else self.http_status

    @property
    def has_error(self) -> bool:
        """Tell whether the body names an error, whatever its codes say."""
        error = self.envelope.get("error")
        if isinstance(error, dict):
            return any(error.values())
        return bool(error) or self.envelope.get("success") is False

    @property
    def is_vidgos(self) -> bool:
        """Tell whether a refusal has VidGo's form: gateways and edges in front of it refuse in words of their own."""
        body = self.envelope
        error = body.get("error")
        if self.code is not None or isinstance(error, dict) or body.get("success") is False:
            return True
        if self.http_status in {400, 409, 422}:  # what somebody says who has read the request
            return bool(body)
        # Web frameworks name the path or the time beside their error.
        return isinstance(error, str) and not body.keys() & {"path", "timestamp"}

    @property
    def ok(self) -> bool:
        """Tell whether VidGo says that all went well."""
        return (
            200 <= self.http_status < 300 and bool(self.envelope) and self.code in {None, 0, 200} and not self.has_error
        )

    @property
    def error_type(self) -> str:
        """Return VidGo's word for the kind of error, empty if there is none."""
        error = self.envelope.get("error")
        kind = error.get("type") if isinstance(error, dict) else None
        return kind.lower() if isinstance(kind, str) else ""

    @property
    def error_text(self) -> str:
        """Return VidGo's reason from wherever this dialect puts it, empty if there is none."""
        body = self.envelope
        error = body.get("error")
        candidates = [error]
        if isinstance(error, dict):
            candidates = [error.get("message"), error.get("msg"), error.get("detail")]
        candidates += [body.get("message"), body.get("msg"), _detail_text(body.get("detail"))]
        candidates += [mapping(body.get("data")).get("error_message")]
        return next((c for c in candidates if isinstance(c, str) and c.strip()), "")

    @property
    def said(self) -> str:
        """Return the reason and its type for looking at the words, short enough for any pattern."""
        return f"{self.error_text[:_MAX_SAID]} {self.error_type[:_MAX_SAID]}"

    @property
    def wait(self) -> float | None:
        """Return the seconds VidGo asks to wait, from Retry-After or from the text."""
        seconds = _retry_after(self.retry_after, self.received_at)
        if seconds is None and (match := _TRY_AGAIN.search(self.said)):
            unit = next((unit for unit in _SECONDS if match[2].lower().startswith(unit)), "")
            seconds = float(match[1]) * _SECONDS.get(unit, 1.0)
        return None if seconds is None else min(max(seconds, 0.0), _MAX_RETRY_AFTER)

    @property
    def earlier_task_id(self) -> str | None:
        """Return the id of the earlier task that a refused duplicate names."""
        body = self.envelope
        error, data = mapping(body.get("error")), body.get("data")
        objects = (mapping(data), error, mapping(error.get("data")), body)
        found = (task_id_of(candidate) for candidate in objects)
        return next(filter(None, found), None) or identifier(error.get("data")) or identifier(data)


def refusal(
    answer: Answer, question: Question, secrets: Iterable[str] = (), *, version: str | None = None
) -> VidGoError:
    """Return the error for an answer that does not give what was asked; `secrets` are kept out of its text.

    `version` is that of the model, where the request names one.
    """
    code = answer.effective_code
    if code < 400:
        explicit = answer.readable and answer.has_error and task_id_of(answer.task) is None
        if code >= 300 or not explicit:
            return _unclear(answer, question)
        code = _TYPE_CODES.get(answer.error_type, 400)
    reason = one_line(answer.error_text, secrets) or f"error {code} without a reason"
    speaks_of_credits = bool(_CREDITS.search(answer.said))
    is_too_fast = bool(_TOO_FAST.search(answer.said))

    if code == 402 or answer.error_type == "insufficient_credits_error" or (code == 429 and speaks_of_credits):
        return NoCredits(reason, code=code)
    if code == 401 or (code == 403 and answer.is_vidgos):
        return KeyRefused(reason, code=code)
    # 405 and 430 mean "too fast" in the upstream dialect; 405 means what HTTP says everywhere else. A 503
    # without one of VidGo's bodies comes from a proxy, which cannot know how far the request got.
    if (
        code in {429, 430, 455}
        or (code == 405 and is_too_fast)
        or (code == 503 and (answer.has_error or (answer.code or 0) >= 400))
    ):
        return Busy(reason, code=code, retry_after=answer.wait)
    if code == 408 or code >= 500:
        return AnswerLost(reason, code=code)
    if not answer.is_vidgos:
        # Somebody in front of VidGo said no, and may say something else in a moment; VidGo has not seen it.
        said = f"{reason} (not VidGo's own words; is the API's address right?)"
        return Busy(said, code=code) if question.is_submission else Nonsense(said, code=code)
    if version is not None and code in {400, 404, 422} and _is_about(version, answer):
        return VersionRefused(reason, code=code)
    return _rejection(answer, question, code, reason)


def _is_about(version: str, answer: Answer) -> bool:
    """Tell whether a refusal names the version of the model that was asked for, or speaks of it."""
    if _is_moderation(answer) or answer.error_type == "content_too_long_error":
        return False
    return bool(_VERSION.search(answer.said)) or bool(
        re.search(rf"\b{re.escape(version)}\b", answer.said, re.IGNORECASE)
    )


def _is_moderation(answer: Answer) -> bool:
    return answer.error_type == "content_moderation_error" or bool(_MODERATION.search(answer.said))


def _unclear(answer: Answer, question: Question) -> VidGoError:
    """Return the error for an answer that says neither yes nor no."""
    status = answer.http_status
    if status >= 300 or status < 200:
        said = f"redirect or no final answer (HTTP {status}); is the API's address right?"
        # Whoever sends us elsewhere has not taken an order, and may stand in front of VidGo for a while only.
        return Busy(said, code=status) if question.is_submission else Nonsense(said, code=status)
    if not answer.readable:
        return AnswerLost(f"unreadable answer (HTTP {status})", code=status)
    if question.is_submission:
        return AnswerLost(f"answer without a task id (HTTP {status})", code=status)
    return Nonsense(f"not an answer of VidGo's (HTTP {status})", code=status)


def _rejection(answer: Answer, question: Question, code: int, reason: str) -> VidGoError:
    """Return the error for a request that VidGo understood and will not take as it is (400, 404, 409, 422 ...)."""
    said = answer.said
    if question is Question.DETAIL and code in {400, 404, 422}:
        # The task id is all that a read says, so whatever is wrong is wrong with it.
        return UnknownTask(reason, code=code)
    if question is Question.SUBMIT_ON_SOURCE and code in {400, 404, 409, 422}:
        missing = bool(_MISSING.search(said))
        exists = code in {400, 409} and bool(_EXISTS.search(said)) and not missing
        if _UNFINISHED.search(said) or (_ONGOING.search(said) and not exists):
            return SourceNotReady(reason, code=code)
        if exists or (code == 409 and not missing):
            return Duplicate(reason, code=code, task_id=answer.earlier_task_id)
        if missing or code == 404:
            return UnknownTask(reason, code=code)
    if question is Question.SUBMIT and code == 409:
        return Duplicate(reason, code=code, task_id=answer.earlier_task_id)
    if _is_moderation(answer):
        return ContentRefused(reason, code=code)
    return InvalidRequest(reason, code=code)


def _detail_text(detail: object) -> str:
    """Return FastAPI's ``detail`` as text: a string, or a list of objects with ``loc`` and ``msg``."""
    if isinstance(detail, str):
        return detail
    if isinstance(detail, dict):
        detail = [detail]
    parts = []
    for item in detail[:10] if isinstance(detail, list) else []:
        message = item.get("msg") or item.get("message") if isinstance(item, dict) else item
        if isinstance(message, str):
            loc = item.get("loc") if isinstance(item, dict) else None
            field = loc[-1] if isinstance(loc, list) and loc and isinstance(loc[-1], str) else ""
            parts.append(f"{field}: {message}" if field else message)
    return "; ".join(parts)


def _retry_after(header: str | None, now: float) -> float | None:
    """Return the seconds of a Retry-After header, given as a number or as an HTTP date."""
    if header is None:
        return None
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", header.strip(), re.ASCII):
        return float(header)
    try:
        moment = email.utils.parsedate_to_datetime(header)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
