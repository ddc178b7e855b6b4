"""Named moments with three processes: whoever comes past one first dies there, and the others end what it began."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.flows import FLOWS
from tests.faults.processes.stage import open_shared_stage

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.faults.flows import Flow
    from tests.faults.points import Opening
    from tests.faults.processes.stage import SharedStage
    from tests.faults.program import Nursery
    from tests.postgresql import PostgreSQL

SHARED_FLOWS = tuple(flow for flow in FLOWS if flow.first is None)
"""Those of one process, but for its restarts: here the others recover what it leaves, at each of these moments."""


def together(server: PostgreSQL) -> Opening:
    """Return how a stage for a flow is opened on a server, with processes that note where they come past."""

    def opening(nursery: Nursery, directory: Path, flow: Flow) -> AbstractAsyncContextManager[SharedStage]:
        return open_shared_stage(
            nursery, directory, server, callbacks=flow.callbacks, settings=flow.settings, trail=True
        )

    return opening
