"""What holds for all tests."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

REWRITTEN = (
    "tests.end_to_end.process",
    "tests.end_to_end.world",
    "tests.hostile.siege",
    "tests.tasks.room",
    *(f"tests.faults.{name}" for name in ("audit", "harness", "members", "passing", "points", "program", "troubles")),
)
pytest.register_assert_rewrite(*REWRITTEN)

from sandbox.discord.state import model  # noqa: E402 (the same)
from tests.compiled import compile_once  # noqa: E402 (the same)
from tests.measured import AT_LEAST, coverage  # noqa: E402 (the same)
from tests.nursery import shared  # noqa: E402 (what it imports has assertions too)
from tests.patience import patient  # noqa: E402 (the same)
from tests.postgresql import close_shared  # noqa: E402 (the same)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator


# Discord's 3 s are meant for a machine that keeps up, and `make faults` keeps to them. Tests of what comes too late set
# the clock forward.
model.ANSWER_SECONDS = patient(model.ANSWER_SECONDS)

TESTS = Path(__file__).parent

LONG = (
    "faults",
    "model",
    "benchmarks",
    "hostile",
    "tasks",
    "end_to_end",
    "formats",
    "play",
    "answers",
    "replies",
    "media",
)
"""The directories with the longest files; the short ones come last, so that no worker is left alone with a long one."""


COVERED = pytest.StashKey[tuple[str, float]]()
"""What has not run, and how many percent have."""

compile_once()

# An example takes as long as the machine lets it.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# A shell lets what it starts in the background ignore Ctrl-C, and so would each program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage neither while tests are collected nor, ever after, in what is there then: all of it stays.

    Each look would cost a good part of a second, and each forked process the memory of what was looked at.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    rank = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path.relative_to(TESTS).parts[0], len(LONG)))


@pytest.fixture(scope="module", autouse=True)
def garbage_of_file() -> Iterator[None]:
    """Let what a file's tests and fixtures leave open be told of them, not of the file that comes next."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def garbage() -> Iterator[None]:
    """Let what a test leaves open be told of it, as far as it is young."""
    yield
    gc.collect(1)


@pytest.fixture
def show(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Keep a figure for the summary at the end of the run."""

    def keep(text: str) -> None:
        record_property("figure", text)

    return keep


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
    if (covered := terminalreporter.config.stash.get(COVERED, None)) is not None:
        table, percent = covered
        terminalreporter.section("coverage")
        terminalreporter.write(table)
        terminalreporter.line(f"{percent:.2f} % of the program's lines ran; {os.environ[AT_LEAST]} have to")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the process that forks the program and the database server, if there were any, and sum up what has run."""
    if shared.cache_info().currsize:
        shared().close()
        shared.cache_clear()
    close_shared()
    if coverage is not None:
        coverage.leave()
        if (covered := coverage.sum_up()) is not None:
            session.config.stash[COVERED] = covered
            if covered[1] < float(os.environ[AT_LEAST]):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
