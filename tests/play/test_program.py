"""`coverbot play` as a process: how soon it serves, and that it ends in order and leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.patience import patient

ROOT = Path(__file__).parents[2]
SECONDS = 20.0


def start(directory: Path, *options: str) -> subprocess.Popen[str]:
    """Start it in an empty directory, with settings that would break it if they were read."""
    (directory / ".env").write_text("POLL_MIN_SECONDS=nonsense\n")
    kept = {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE", "PATH", "LC_", "LANG"))}
    temporary = directory / "temporary"
    temporary.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "bot", "play", *options],
        cwd=directory,
        env=kept | {"HOME": str(directory), "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary), "DISCORD_TOKEN": "own"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def bot_of(play: subprocess.Popen[str]) -> psutil.Process:
    """Wait for the bot that it starts."""
    deadline = time.monotonic() + patient(SECONDS)
    while time.monotonic() < deadline and play.poll() is None:
        for child in psutil.Process(play.pid).children():
            if child.cmdline()[-1:] == ["run"]:
                return child
        time.sleep(0.02)
    raise AssertionError("it started no bot")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_ended_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with start(tmp_path) as play:
        try:
            assert play.stdout is not None
            address = re.search(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", play.stdout.readline())
            assert address is not None
            with urllib.request.urlopen(address[0], timeout=patient(SECONDS)) as page:
                assert b"Coverbot" in page.read()
            bot = bot_of(play)
            play.send_signal(number)
            said, _ = play.communicate(timeout=patient(SECONDS))
        finally:
            play.kill()
    assert play.returncode == 0, said
    assert "Traceback" not in said
    psutil.wait_procs([bot], timeout=patient(5))
    assert not bot.is_running()
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("port", ["taken", "99999"])
def test_a_port_that_cannot_be_had_is_one_line(tmp_path: Path, port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1]) if port == "taken" else port
        with start(tmp_path, "--port", number) as play:
            said, _ = play.communicate(timeout=patient(SECONDS))
    assert play.returncode == 1
    assert said.startswith("coverbot: the page cannot be served: ")
    assert len(said.splitlines()) == 1
