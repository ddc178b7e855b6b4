"""What is on the disk: the database, the archive, and what waits to be posted."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.audit.ledgers import Ledgers, Row
    from tests.faults.audit.verdict import Verdict

_SHA256 = re.compile(r"[0-9a-f]{64}")


def audit_files(ledgers: Ledgers, verdict: Verdict) -> None:
    """Demand whole files, all those that are promised and no others."""
    stage = ledgers.stage
    if found := ledgers.check():
        verdict.note("half file", f"the database: {found}")
    promised = {row["sha256"]: row["size"] for row in ledgers.media if row["state"] == "kept"}
    present = {path.name: path for path in stage.archived}
    for name, path in present.items():
        data = path.read_bytes()
        whole = _SHA256.fullmatch(name) and hashlib.sha256(data).hexdigest() == name
        if not whole:
            verdict.note("half file", f"{name} in the archive, {len(data)} bytes")
        elif promised.pop(name, None) != len(data):
            verdict.note("left behind", f"{name} in the archive, which no row knows")
    for lacking in promised:
        verdict.note("half file", f"the archive promises {lacking}, which is not there")
    for row in ledgers.files:
        for lacking in {row["audio_sha256"], row["image_sha256"]} - {None} - present.keys():
            verdict.note("half file", f"a file of task {row['task_id']} is promised as {lacking}, which is not there")
        _audit_archiving(ledgers, row, verdict)
    for path in stage.on_their_way:
        verdict.note("half file", f"{path.name} waits to be posted by nobody: {sorted(path.rglob('*'))}")
    _audit_kept(ledgers, verdict)


def _audit_archiving(ledgers: Ledgers, row: Row, verdict: Verdict) -> None:
    """Demand that a song goes into the archive as long as VidGo hands it out."""
    made = ledgers.stage.vidgo.tasks.get(str(ledgers.task_of.get(row["task_id"], {}).get("vidgo_id")))
    on = ledgers.stage.program.settings.get("ARCHIVE_MAX_BYTES") != "0"
    if not on or made is None or made.expired or made.file_rules or not row["audio_url"]:
        return
    if row["audio_sha256"] is None and row["archive_at"] is None:
        verdict.note("lost", f"the audio of task {row['task_id']} is in no archive, and nobody will try again")


def _audit_kept(ledgers: Ledgers, verdict: Verdict) -> None:
    """Demand that what was in the archive stays there, unless somebody had something forgotten."""
    kept = ledgers.stage.kept
    held = {row[f"{what}_sha256"]: row["task_id"] for row in ledgers.files for what in ("audio", "image")}
    kept.update({sha256: task_id for sha256, task_id in held.items() if sha256 is not None})
    if ledgers.forgotten:
        return
    for sha256, task_id in kept.items():
        if sha256 not in held:
            verdict.note("lost", f"the archive had {sha256} of task {task_id}, and has it no more")
