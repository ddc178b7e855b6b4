"""What a refusal means: Discord's own word, or that of something on the way to it.

Discord answers in JSON, with an error code for nearly everything. Its edge, and proxies of networks, answer with pages
for browsers and statuses of their own, which say nothing about the bot: whatever they are, they pass.
"""

from __future__ import annotations

import email.utils
import time
from enum import Enum, auto

import aiohttp
import discord

UNREACHABLE = (
    discord.HTTPException,
    discord.LoginFailure,
    discord.GatewayNotFound,
    discord.RateLimited,
    aiohttp.ClientError,
    OSError,
    # What discord.py stumbles over in a page that came with status 200 or calls itself JSON.
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
)
"""All that a request can raise where its answer does not come from Discord."""

LOGIN_REFUSED = "DISCORD_TOKEN is refused by Discord; copy it again from the developer portal"

SHARDS_REFUSED = (
    "SHARD_COUNT is not what Discord takes for as many servers as the bot is in; leave it out, and Discord says it"
)

CLOSES = {
    4010: "it takes no such shards; the next start asks how many there should be",
    4011: "the bot is in too many servers for so few shards; the next start asks how many there should be",
    4012: "it has given up this version of its gateway; a newer Coverbot is needed",
    4013: "it does not know what this bot wants to hear of; a newer Coverbot is needed",
}
"""Why Discord closes a connection after which no other would fare better, by its codes."""

MISSING_ACCESS = 50001
NOT_THERE = (MISSING_ACCESS, 10003, 10004)
"""Error codes for a channel or server that does not exist or that the bot may not see."""

LONGEST_WAIT = 86_400.0
LONGEST_TEXT = 200


FAILURES = (discord.HTTPException, discord.RateLimited, aiohttp.ClientError, OSError, TimeoutError)
"""All that a request to Discord can raise."""


class Refusal(Enum):
    """What a failed request to Discord means."""

    LATER = auto()
    """Nobody has said no: the network, an edge server, a limit, a fault of Discord's."""
    GONE = auto()
    """The message or the interaction is not there."""
    CLOSED = auto()
    """The channel is closed to the bot, or the person's direct messages are."""
    EXPIRED = auto()
    """The interaction's token has expired."""
    TOO_LARGE = auto()
    NO_HISTORY = auto()
    """A reply needs the message's history; a message that is none may come."""
    ANSWERED = auto()
    """The interaction has its first answer already."""
    REFUSED = auto()
    """Discord does not take this content."""


# https://discord.com/developers/docs/topics/opcodes-and-status-codes#json
_BY_CODE = {
    10003: Refusal.CLOSED,  # unknown channel
    10004: Refusal.CLOSED,  # unknown guild
    10007: Refusal.CLOSED,  # unknown member
    10008: Refusal.GONE,  # unknown message
    10013: Refusal.CLOSED,  # unknown user
    10015: Refusal.EXPIRED,  # unknown webhook
    10062: Refusal.GONE,  # unknown interaction
    40005: Refusal.TOO_LARGE,
    40060: Refusal.ANSWERED,
    40333: Refusal.LATER,  # the edge's own
    50001: Refusal.CLOSED,  # missing access
    50007: Refusal.CLOSED,  # direct messages are closed
    50008: Refusal.CLOSED,  # no messages in this kind of channel
    50013: Refusal.CLOSED,  # missing permissions
    50024: Refusal.CLOSED,  # not in this kind of channel
    50027: Refusal.EXPIRED,  # invalid webhook token
    50083: Refusal.CLOSED,  # archived thread
    50278: Refusal.CLOSED,  # no mutual guild
    160002: Refusal.NO_HISTORY,
    160005: Refusal.CLOSED,  # locked thread
}


def meaning_of(error: Exception) -> Refusal:
    """Return what a failed request to Discord means."""
    if not isinstance(error, discord.HTTPException):
        return Refusal.LATER
    if error.status == 413:
        return Refusal.TOO_LARGE
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    # No code of Discord's, or none that a client could mend: it may be otherwise in a moment.
    if not error.code or error.status in (401, 429) or error.status >= 500:
        return Refusal.LATER
    return Refusal.REFUSED


def is_not_there(error: BaseException | None) -> bool:
    """Tell whether Discord itself says that the bot cannot see a channel or server."""
    refusal = _refusal(error)
    return refusal is not None and refusal.code in NOT_THERE and _is_json(refusal)


def refuses_token(error: BaseException | None) -> bool:
    """Tell whether Discord itself does not know the bot's token."""
    refusal = _refusal(error)
    return refusal is not None and refusal.status == 401 and _is_json(refusal)


def asked_to_wait(error: BaseException | None) -> float:
    """Return the seconds that an answer asks to wait, at most a day; 0 where it asks for none."""
    if isinstance(error, discord.RateLimited):
        return min(error.retry_after, LONGEST_WAIT)
    refusal = _refusal(error)
    headers = refusal.response.headers if refusal is not None else getattr(error, "headers", None)
    asked = str((headers or {}).get("Retry-After", ""))
    try:
        seconds = float(asked)
    except ValueError:  # an HTTP date, or nothing
        try:
            seconds = email.utils.parsedate_to_datetime(asked).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return min(seconds, LONGEST_WAIT) if seconds > 0 else 0.0  # "nan" is no number to wait for


def explain(error: BaseException) -> str:
    """Put an error into a short line, without the page that may have come with it."""
    refusal = _refusal(error)
    if refusal is None:
        if isinstance(error, aiohttp.ClientError | OSError | discord.DiscordException):
            return _short(f"{type(error).__name__}: {error}".removesuffix(": "))
        return f"no answer of Discord's: {type(error).__name__}"
    if not _is_json(refusal):
        return f"HTTP {refusal.status}, without a word of Discord's"
    code = f", code {refusal.code}" if refusal.code else ""
    return _short(f"HTTP {refusal.status}{code}: {refusal.text}")


def _refusal(error: BaseException | None) -> discord.HTTPException | None:
    if isinstance(error, discord.LoginFailure | discord.GatewayNotFound):
        error = error.__cause__
    return error if isinstance(error, discord.HTTPException) else None


def _is_json(refusal: discord.HTTPException) -> bool:
    return refusal.response.headers.get("Content-Type") == "application/json" and bool(refusal.text)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]}…"
