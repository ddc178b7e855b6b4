"""The signature of callbacks.

PoYo, which speaks the same API, documents ``X-Webhook-Timestamp`` (Unix seconds) and ``X-Webhook-Signature``;
VidGo's page shows neither. The body is not covered, so a valid signature vouches for the task id alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

WINDOW_SECONDS = 300.0
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def verify_signature(secret: str, task_id: str, timestamp: str | None, signature: str | None, now: float) -> bool:
    """Tell whether `signature` is base64(HMAC-SHA256(secret, task_id + "." + timestamp)) and recent.

    `now` is in Unix seconds. Takes header values as they come (None if absent) and never raises.
    """
    if not secret or not isinstance(timestamp, str) or not isinstance(signature, str):
        return False
    timestamp = timestamp.strip()
    if not _TIMESTAMP.fullmatch(timestamp) or abs(now - int(timestamp)) > WINDOW_SECONDS:
        return False
    message = f"{task_id}.{timestamp}".encode("utf-8", "replace")
    digest = hmac.new(secret.encode("utf-8", "replace"), message, hashlib.sha256).digest()
    given = signature.strip().encode("utf-8", "replace")
    return hmac.compare_digest(base64.b64encode(digest), given)
