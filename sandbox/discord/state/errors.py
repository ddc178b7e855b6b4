"""Discord's refusals: HTTP status, JSON error code and message, as its reference lists them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

REFUSALS: dict[int, tuple[int, str]] = {
    10003: (404, "Unknown Channel"),
    10004: (404, "Unknown Guild"),
    10007: (404, "Unknown Member"),
    10008: (404, "Unknown Message"),
    10013: (404, "Unknown User"),
    10015: (404, "Unknown Webhook"),
    10062: (404, "Unknown interaction"),
    10063: (404, "Unknown application command"),
    30015: (400, "Maximum number of attachments in a message reached (10)"),
    30034: (400, "Max number of daily application command creates has been reached (200)"),
    40005: (413, "Request entity too large"),
    40060: (400, "Interaction has already been acknowledged."),
    40333: (403, "internal network error"),
    50001: (403, "Missing Access"),
    50005: (403, "Cannot edit a message authored by another user"),
    50006: (400, "Cannot send an empty message"),
    50007: (403, "Cannot send messages to this user"),
    50013: (403, "Missing Permissions"),
    50027: (401, "Invalid Webhook Token"),
    50033: (400, "Invalid Recipient(s)"),
    50035: (400, "Invalid Form Body"),
    50083: (400, "Thread is archived"),
    50109: (400, "The request body contains invalid JSON."),
    50240: (400, "You cannot remove this app's Entry Point command in a bulk update operation."),
    50278: (403, "Cannot send messages to this user due to having no mutual guilds"),
    160002: (403, "Cannot reply without permission to read message history"),
    160005: (400, "Thread is locked"),
    200000: (400, "Message was blocked by automatic moderation"),
}
"""JSON error code to HTTP status and message (Discord's reference, "Opcodes and Status Codes")."""

MALFORMED_CODES = frozenset({30015, 50006, 50035, 50109})
"""Refusals that say the request itself was wrong, whatever the state of the channel."""


class ApiError(Exception):
    """Answer a request with one of Discord's errors.

    `errors` is the nested object that names the wrong fields, as Discord sends it with code 50035.
    """

    def __init__(self, status: int, code: int, message: str, errors: dict[str, Any] | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors

    @property
    def body(self) -> dict[str, Any]:
        """Return the JSON body of the answer."""
        body: dict[str, Any] = {"message": self.message, "code": self.code}
        if self.errors:
            body["errors"] = self.errors
        return body


def refuse(code: int, status: int | None = None) -> ApiError:
    """Return the refusal with this JSON error code, in its usual HTTP status or another."""
    usual, message = REFUSALS[code]
    return ApiError(status or usual, code, message)


def refuse_status(status: int, message: str) -> ApiError:
    """Return a refusal that has no JSON error code of its own, such as 401 and 404 for a path."""
    return ApiError(status, 0, f"{status}: {message}")


def invalid(path: Sequence[str | int], code: str, message: str) -> ApiError:
    """Return 50035 for the field at `path`, e.g. `["embeds", 0, "title"]`."""
    errors: dict[str, Any] = {"_errors": [{"code": code, "message": message}]}
    for key in reversed(path):
        errors = {str(key): errors}
    status, text = REFUSALS[50035]
    return ApiError(status, 50035, text, errors)


def too_long(path: Sequence[str | int], limit: int) -> ApiError:
    """Return 50035 for text of more than `limit` characters."""
    return invalid(path, "BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")


def describe(error: ApiError) -> str:
    """Return an error in one line, the wrong field named."""
    parts: list[str] = []
    node: Any = error.errors
    while isinstance(node, dict) and node:
        key, node = next(iter(node.items()))
        if key == "_errors":
            return f"{error.code} at {'.'.join(parts)}: {node[0]['message']}"
        parts.append(key)
    return f"{error.code}: {error.message}"
