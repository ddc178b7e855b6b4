"""What holds for all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.nursery import shared

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests have measured, also where they ran in processes of their own."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    figures = [
        (report.nodeid, value)
        for report in reports
        if report.when == "call"
        for name, value in report.user_properties
        if name == "figure"
    ]
    if figures:
        terminalreporter.section("figures")
    for node, figure in figures:
        terminalreporter.line(f"{node.rpartition('::')[2]}: {figure}")


def pytest_sessionfinish() -> None:
    """End the process that forks the program, if there was one."""
    if shared.cache_info().currsize:
        shared().close()
        shared.cache_clear()
