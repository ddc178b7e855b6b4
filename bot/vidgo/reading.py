"""Read single values out of JSON that nobody vouches for.

Every function accepts any value `json.loads` can return, and none of them raises.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

MAX_ID = 256
MAX_REASON = 300
MAX_URL = 2048
_MAX_NESTED_JSON = 256 * 1024
_MAX_RAW_REASON = 5_000


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
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
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
    """Return an absolute http(s) URL, None for anything else."""
    if not isinstance(value, str):
        return None
    url = value.strip()
    if len(url) > MAX_URL or any(c.isspace() or not c.isprintable() for c in url):
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return url if usable else None


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


def task_of(body: object) -> dict[str, Any]:
    """Return the task object of an answer or callback, wrapped in ``data`` or flat."""
    outer = mapping(body)
    inner = mapping(outer.get("data"))
    return inner if {"task_id", "taskId", "status"} & inner.keys() else outer


def task_id_of(task: dict[str, Any]) -> str | None:
    """Return VidGo's id of a task object."""
    return identifier(task.get("task_id")) or identifier(task.get("taskId"))
