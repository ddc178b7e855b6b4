"""Addresses of archived files that VidGo or a member may fetch from the listener for a while.

They are signed with a random key of the song's own task, which is used for nothing else: the address of a callback,
which proxies see and log, gives nobody that of a song. There is no shared secret to keep or to rotate.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from bot.settings import Settings
from storage.tasks import Task

DOWNLOAD_SECONDS = 7 * 86400.0
"""How long a member's download link works."""

FETCH_SECONDS = 86400.0
"""How long VidGo may take to fetch a song that it shall perform anew."""

LONGEST_SECONDS = DOWNLOAD_SECONDS + 3600.0
"""What expires later than this was not made here; an hour for a clock that was set back meanwhile."""


class Links:
    """Makes and checks signed, expiring addresses."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._public_url = settings.public_url
        self._clock = clock

    def make(self, task: Task, position: int, seconds: float) -> tuple[str, float] | None:
        """Return an address and when it expires, or None where nobody outside can reach the listener."""
        if self._public_url is None or not task.media_key:
            return None
        expires = int(self._clock() + seconds)
        name = f"{task.id}/{position}/{expires}/{_sign(task, position, expires)}"
        return f"{self._public_url}/media/{name}/song.mp3", float(expires)

    def holds(self, task: Task, position: int, expires: int, signature: str) -> bool:
        """Tell whether an address was made here and has not expired."""
        left = expires - self._clock()
        expected = _sign(task, position, expires)
        is_ours = hmac.compare_digest(expected.encode(), signature.encode(errors="replace"))
        return is_ours and bool(task.media_key) and 0 < left <= LONGEST_SECONDS


def _sign(task: Task, position: int, expires: int) -> str:
    text = f"media/{task.id}/{position}/{expires}"
    return hmac.new(task.media_key.encode(), text.encode(), hashlib.sha256).hexdigest()
