"""What is typed that is no option, and streams that take nothing: one line and the exit code, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.process import environment, run_program
from tests.patience import patient

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2-hunter2"
ADDRESS = f"postgresql://coverbot:{SECRET}@localhost/coverbot"
SETTINGS = {"DISCORD_TOKEN": SECRET, "VIDGO_API_KEY": SECRET, "DISCORD_API_URL": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["migrate-database", ADDRESS, "--to", "x"], "migrate-database does not know one of its arguments"),
        (["migrate-database", f"--url={ADDRESS}", "--to", "x"], "migrate-database does not know --url"),
        (["migrate-database", "--to", ADDRESS.replace("localhost", "localhost:port")], "--to must look like"),
        (["setup", "--yes", "--discord-token", SECRET], "--discord-token-file: that file cannot be read"),
        (["setup", "--yes", "--discord-token-file", SECRET], "--discord-token-file: that file cannot be read"),
    ],
)
async def test_what_was_typed_is_not_repeated(tmp_path: Path, arguments: list[str], words: str) -> None:
    ended = await run_program(tmp_path, {}, *arguments)
    assert (ended.code, len(ended.lines)) == (2, 1), ended.err
    assert words in ended.err
    assert SECRET not in ended.err + ended.out


async def test_a_time_that_is_none_is_refused_in_words(tmp_path: Path) -> None:
    ended = await run_program(tmp_path, {}, "setup", "--wait", "soon")
    assert ended.code == 2
    assert ended.lines[-1].endswith("must be a number of seconds, at most 30 days")


async def test_a_discord_that_is_out_of_reach_is_no_wrong_setting(tmp_path: Path) -> None:
    ended = await run_program(tmp_path, SETTINGS, "invite")
    assert (ended.code, len(ended.lines)) == (1, 1)
    assert "Discord cannot be reached" in ended.err


def run_in_shell(directory: Path, command: str, **settings: str) -> tuple[int, str, str]:
    """Run a command with its streams as a shell leads them, and return its exit code and what was said."""
    ended = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m bot {command}', sys.executable],
        cwd=directory,
        env=environment(SETTINGS | settings),
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize("command", ["check", "health", "demo"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_told_where_one_looks(tmp_path: Path, command: str, unbuffered: str) -> None:
    words = "coverbot: what there is to say cannot be written: No space left on device\n"
    ended = run_in_shell(tmp_path, f"{command} >/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert ended == (1, "", words)


def test_the_exit_code_stands_where_nothing_can_be_said(tmp_path: Path) -> None:
    assert run_in_shell(tmp_path, "run 2>/dev/full", LISTEN_PORT="web") == (2, "", "")


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_streams_that_are_closed_change_nothing(tmp_path: Path, closed: str) -> None:
    words = "" if "2>" in closed else f"coverbot: there is no database {tmp_path}/data/coverbot.db\n"
    assert run_in_shell(tmp_path, f"export 12345 {closed}") == (1, "", words)


def test_a_terminal_that_does_not_know_a_letter_shows_another(tmp_path: Path) -> None:
    run_in_shell(tmp_path, "check", DATABASE_URL="sqlite:///a.db")  # which makes it
    settings = {"DATABASE_URL": "sqlite:///a.db", "PYTHONIOENCODING": "ascii"}
    code, out, err = run_in_shell(tmp_path, "backup k\u00fcste.bak", **settings)
    assert (code, err) == (0, "")
    assert out.startswith("k\\xfcste.bak holds 0 tasks")
