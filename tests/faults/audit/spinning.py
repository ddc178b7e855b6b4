"""Nothing is worked on again and again without getting any further."""

from __future__ import annotations

import json
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.audit.ledgers import Ledgers
    from tests.faults.audit.verdict import Verdict

WORK, WORK_SECONDS = 15, 3.0
"""How often one id may be worked on within so many seconds of the program's clock, in one life: a start looks anew."""

READS_PER_SECOND = 12
SAME_EDITS = 3
"""How often an acknowledgement may be made to say the same, besides once for each life of the program."""

POSTS_PER_SECOND = 10


def audit_spinning(ledgers: Ledgers, verdict: Verdict) -> None:
    """Look at what the workers did, and at the requests that the program made."""
    stage = ledgers.stage
    for work in _too_often(stage.program.worked(), WORK, WORK_SECONDS, stage.program.ends):
        verdict.note("spinning", f"{work} is worked on again and again")
    reads = [(one.query, one.at) for one in stage.vidgo.requests if "/detail/" in one.path]
    for query in _too_often(reads, READS_PER_SECOND):
        verdict.note("spinning", f"VidGo is asked for {query} more than {READS_PER_SECOND} times in a second")
    edits, posts = Counter[str](), list[tuple[str, float]]()
    for one in stage.discord.requests:
        same = f"{one.method} {one.path} {json.dumps(_content(one.body))}"
        if one.method == "POST" and one.path.endswith("/messages"):
            posts.append((same, stage.time.at(one.at)))
        elif one.method == "PATCH" and (one.status or 500) < 300:
            edits[same] += 1
    for same in _too_often(posts, POSTS_PER_SECOND):
        verdict.note("spinning", f"{same} more than {POSTS_PER_SECOND} times in a second")
    for same, count in edits.items():
        if count > SAME_EDITS + stage.program.lives:
            verdict.note("spinning", f"{same} again and again")


def _content(body: Any) -> Any:
    return body.get("content") if isinstance(body, dict) else None


def _too_often(
    events: list[tuple[str, float]], limit: int, seconds: float = 1.0, ends: Sequence[float] = ()
) -> list[str]:
    """Return what happened more than `limit` times within so many seconds, none of `ends` in between."""
    found: list[str] = []
    for name, group in groupby(sorted(events), lambda event: event[0]):
        times = [at for _, at in group]
        if any(
            later - earlier < seconds and not any(earlier < end < later for end in ends)
            for earlier, later in zip(times, times[limit:], strict=False)
        ):
            found.append(name)
    return found
