"""Read single values out of JSON that nobody vouches for.

Every function accepts any value `json.loads` can return, and none of them raises.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlsplit

MAX_ID = 200
"""As much as the database takes of an id."""

MAX_REASON = 300
MAX_URL = 8190
"""As much as common servers read of a request line (Apache's LimitRequestLine, and aiohttp's own)."""

_MAX_SHOWN_URL = 200
_ASCII = "".join(chr(code) for code in range(0x21, 0x7F))
_MAX_NESTED_JSON = 256 * 1024
_MAX_RAW_REASON = 5_000
_MOST_LEVELS = 4


def storable(value: str, limit: int) -> str:
    """Return `value` cut to `limit` characters, without what a database cannot hold.

    Lone surrogates (legal in JSON, not in UTF-8) and NUL (not storable in PostgreSQL) are replaced.
    """
    return value[:limit].encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")


def one_line(value: str, secrets: Iterable[str] = (), limit: int = MAX_REASON) -> str:
    """Return `value` as one printable line of at most `limit` characters, with the secrets taken out."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        value = value.replace(secret, "[hidden]")
    printable = "".join(c if c.isprintable() else " " for c in value[:_MAX_RAW_REASON])
    line = " ".join(printable.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def text(value: object, limit: int) -> str:
    """Return a string or number as text of at most `limit` characters, anything else as an empty string."""
    if isinstance(value, str):
        return storable(value, limit)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10**15:
        return str(value)[:limit]
    return ""


def identifier(value: object) -> str | None:
    """Return an id as text, None if it is missing, empty, too long or a sentence."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**MAX_ID:
        value = str(value)
    if not isinstance(value, str):
        return None
    value = value.strip()
    if not 0 < len(value) <= MAX_ID or any(c.isspace() for c in value):
        return None
    return storable(value, MAX_ID)


def number(value: object) -> float | None:
    """Return a finite number, also one written as text, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and len(value) > 32:
        return None
    try:
        amount = float(value)
    except (ValueError, OverflowError):
        return None
    return amount if math.isfinite(amount) else None


def http_url(value: object) -> str | None:
    """Return an absolute http(s) URL of at most `MAX_URL` characters, None for anything else.

    Spaces and letters beyond ASCII, which no URL holds but many servers write, are percent-encoded as UTF-8; nothing
    else is touched, for a signature in it must arrive as it was written.
    """
    if not isinstance(value, str):
        return None
    url = value.strip()
    if len(url) > MAX_URL or any(char < " " or char == "\x7f" for char in url):
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        if not usable or any(char.isspace() or not char.isprintable() for char in parts.netloc):
            return None
        url = percent_encoded(url)
    except ValueError:  # also of lone surrogates, which have no UTF-8
        return None
    return url if len(url) <= MAX_URL else None


def percent_encoded(url: str) -> str:
    """Return a URL, absolute or relative, with spaces and letters beyond ASCII behind its host percent-encoded.

    Raises `ValueError` for what is no URL.
    """
    parts = urlsplit(url)
    start = len(f"{parts.scheme}://{parts.netloc}") if parts.scheme and parts.netloc else 0
    return url[:start] + quote(url[start:], safe=_ASCII)


def shown_url(value: object) -> str:
    """Return what can be logged of an address that cannot be used: without its query, which may be a credential."""
    if not isinstance(value, str):
        return type(value).__name__
    bare = value[: MAX_URL * 2].partition("?")[0].partition("#")[0]
    scheme, mark, rest = bare.partition("://")
    host, slash, path = rest.partition("/")
    return one_line(scheme + mark + host.rpartition("@")[2] + slash + path, limit=_MAX_SHOWN_URL)


def decoded(value: object) -> Any:
    """Return the value inside a string of JSON, however often (up to three times) it was encoded.

    VidGo documents ``generate_cover`` as a string holding JSON; it has been seen decoded and encoded twice.
    """
    for _ in range(3):
        if not isinstance(value, str) or len(value) > _MAX_NESTED_JSON:
            break
        if not value.lstrip().startswith(("{", "[", '"')):
            break
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            break
    return value


def mapping(value: object) -> dict[str, Any]:
    """Return a JSON object, also one encoded as a string; an empty one for anything else."""
    value = decoded(value)
    return value if isinstance(value, dict) else {}


def levels_of(body: object) -> list[dict[str, Any]]:
    """Return the objects of an answer or callback that lie one in the other as ``data``, the outermost first."""
    found: list[dict[str, Any]] = []
    for _ in range(_MOST_LEVELS):
        level = mapping(body)
        if not level:
            break
        found.append(level)
        body = level.get("data")
    return found


def task_of(body: object) -> dict[str, Any]:
    """Return the task object of an answer or callback, wrapped in ``data`` (once or more) or flat."""
    levels = levels_of(body)
    wrapped = (level for level in levels[1:] if {"task_id", "taskId", "status"} & level.keys())
    return next(wrapped, levels[0] if levels else {})


def task_id_of(task: dict[str, Any]) -> str | None:
    """Return VidGo's id of a task object."""
    return identifier(task.get("task_id")) or identifier(task.get("taskId"))
