"""What Discord's refusals mean, by Discord's own code: the status line may be an edge server's."""

from __future__ import annotations

from enum import Enum, auto

import aiohttp
import discord

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


def wait_of(error: Exception) -> float | None:
    """Return for how many seconds Discord wants to be left alone, where it said so."""
    if isinstance(error, discord.RateLimited):
        return error.retry_after
    return None


def describe(error: Exception) -> str:
    """Return one short line for the log, without an edge server's page."""
    if isinstance(error, discord.HTTPException):
        words = error.text if error.code else ""
        return f"{error.status} {error.code} {words[:200]}".strip()
    return type(error).__name__
