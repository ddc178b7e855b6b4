"""Which lines of the program run, here and in what is forked from here: measured by SlipCover.

It marks in the code of the program itself what has run. A measure that Python calls for each function and line doubles
the time that anything takes, libraries too. Each process leaves its part in one directory, which the first one sums up.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

try:
    import slipcover
except ModuleNotFoundError:  # on one system it has no wheel
    slipcover = None

ROOT = Path(__file__).parents[1]
PROGRAM = ("bot", "cogs", "storage")

AT_LEAST = "COVERAGE_AT_LEAST"
"""The variable with the percentage under which a run of the tests fails; without it nothing is measured."""

_DIRECTORY = "COVERAGE_DIRECTORY"
_NEVER = 2**30
"""After how many runs of a line its mark is taken away; all that runs would be searched for it meanwhile."""


class Coverage:
    """The lines that have run in this process, from the import of the program on."""

    def __init__(self) -> None:
        self._is_first = _DIRECTORY not in os.environ
        if self._is_first:
            os.environ[_DIRECTORY] = tempfile.mkdtemp()
        self._directory = Path(os.environ[_DIRECTORY])
        matcher = slipcover.FileMatcher(sources=[str(ROOT / name) for name in PROGRAM])
        self._lines = slipcover.Slipcover(d_miss_threshold=_NEVER, exclude_also=[r"\.\.\.$"])
        slipcover.ImportManager(self._lines, matcher).__enter__()
        slipcover.wrap_spec_from_file_location(self._lines, matcher)

    def leave(self) -> None:
        """Leave this process's part for the sum, where it is not the first."""
        if not self._is_first:
            (self._directory / f"{os.getpid()}.json").write_text(json.dumps(self._lines.get_coverage()))

    def leave_what_ran(self) -> None:
        """Leave the lines that ran, for the sum with what others say of those that did not: it looks into no file."""
        self._lines._exclude_patterns = []
        found = self._lines.get_coverage()
        for lines in found["files"].values():
            lines["missing_lines"] = []
        (self._directory / f"{os.getpid()}.json").write_text(json.dumps(found))

    def sum_up(self) -> tuple[str, float] | None:
        """Return a table of what has not run, and how many percent have; nothing where it is not the first."""
        if not self._is_first:
            return None
        self._lines.source = [str(ROOT / name) for name in PROGRAM]
        found: dict[str, Any] = self._lines.get_coverage()
        for part in self._directory.iterdir():
            slipcover.merge_coverage(found, json.loads(part.read_text()))
        shutil.rmtree(self._directory)
        table = io.StringIO()
        slipcover.print_coverage(found, outfile=table, skip_covered=True)
        return table.getvalue(), found["summary"]["percent_covered"]


coverage = Coverage() if slipcover is not None and AT_LEAST in os.environ else None
