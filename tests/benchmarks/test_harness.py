"""The benchmarks run, and leave figures for every promise."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.patience import patient

ROOT = Path(__file__).parents[2]

PROMISED = {
    "ack_1_p50": 1.3,
    "ack_1_p99": 2.0,
    "ack_50_p50": 1.3,
    "ack_50_p99": 2.0,
    "post_p50": 1.3,
    "post_picture_p50": 1.3,
    "ack_1_p50_kept": 1.15,
    "ack_1_p99_kept": 1.5,
    "ack_50_p50_kept": 1.15,
    "ack_50_p99_kept": 1.5,
    "post_p50_kept": 1.4,
    "post_picture_p50_kept": 1.5,
    "rss_few": 45.0,
    "rss_many": 45.0,
    "growth": 1.0,
    "memory_deliveries": 12.0,
    "pg_ack_1_p50": 1.3,
    "pg_ack_1_p50_kept": 1.3,
    "pg_post_p50": 1.6,
    "pg_post_p50_kept": 1.6,
    "waiting_start": 3.0,
    "waiting_requests": 1 / 3,
    "rows": 1.1,
    "processes_2": 1.15,
    "idle_statements": 2.0,
}
"""What the bot is held to beside its floor, by the figure's key."""


@pytest.mark.timeout(patient(260))
async def test_every_promise_is_measured(tmp_path: Path) -> None:
    """All parts in one run, as `make bench` does it: one can stand in another's way."""
    report = tmp_path / "figures.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks",
        "--quick",
        f"--json={report}",
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), patient(240))
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 0, said.decode()
    found = json.loads(report.read_text("utf-8"))
    assert found.keys() == {"measured_at", "seconds", "quick", "machine", "discord", "figures"}
    assert found["quick"]
    assert found["discord"]["violations"] == 0
    figures = {figure["key"]: figure for figure in found["figures"]}
    assert {key: figures[key]["target"] for key in PROMISED} == PROMISED
    assert {
        "start_few",
        "start_many",
        "uss_few",
        "uss_many",
        "post_p99",
        "post_picture_p99",
        "ack_1_cpu",
        "post_cpu",
    } <= figures.keys()
    for key, figure in figures.items():
        assert key == "growth" or (figure["floor"] > 0 and figure["bot"] > 0), figure
        assert figure["samples"] > 0
        assert figure["verdict"] == ("" if figure["target"] is None else figure["verdict"])
        assert figure["title"].encode() in said
