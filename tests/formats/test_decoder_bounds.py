"""What a process that decodes may take of the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from bot.fetching.fetch import SOCKETS
from bot.formats.decoder import CHILDREN, MEMORY_BYTES
from sandbox.music import compose_of_size
from tests.media.samples import stored
from tests.patience import patient


def test_the_documents_tell_the_bounds_as_they_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text("utf-8")
    assert f"with {MEMORY_BYTES >> 30} GiB of memory" in page
    assert f"{SOCKETS} downloads at once" in page
    assert CHILDREN == 2
    assert "two of them at most" in page


def test_every_other_bound_is_insisted_on(tmp_path: Path) -> None:
    program = """
import resource, sys
from bot.formats.decoder import confine

def setrlimit(limit, values):
    if limit == getattr(resource, sys.argv[1]):
        raise ValueError("refused")

resource.setrlimit = setrlimit
try:
    confine(1000, 60)
except ValueError:
    print("refused")
"""
    path = str(stored(tmp_path / "program.py", program.encode()))
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    said = {}
    for name in ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_NOFILE"):
        done = subprocess.run([sys.executable, path, name], env=environment, capture_output=True, check=True, text=True)
        said[name] = done.stdout.strip()
    assert said.pop("RLIMIT_AS") == ""
    assert set(said.values()) == {"refused"}


def test_a_confined_process_can_open_nothing_and_take_little(tmp_path: Path) -> None:
    program = """
import errno, socket, sys
from bot.formats.decoder import MEMORY_BYTES, confine

with open(sys.argv[1], "wb", buffering=0) as file:
    confine(1000, 60)
    for attempt in (lambda: open(__file__), lambda: socket.socket()):
        try:
            attempt()
        except OSError as error:
            print(errno.errorcode[error.errno])
    try:
        bytearray(MEMORY_BYTES)
    except MemoryError:
        print("MemoryError")
    print(file.write(bytes(5000)))
"""
    command = [sys.executable, str(stored(tmp_path / "program.py", program.encode())), str(tmp_path / "file")]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=patient(30), text=True)
    assert done.stdout.split() == ["EMFILE", "EMFILE", "MemoryError", "1000"]


def test_a_child_that_burns_its_time_is_ended_by_the_system(tmp_path: Path) -> None:
    song = stored(tmp_path / "song.wav", compose_of_size("Deep River", 40_000_000, fmt="wav"))
    part = stored(tmp_path / "part", b"")
    command = [sys.executable, "-P", "-m", "bot.formats.transcode", str(song), str(part), "10000000", "1"]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=patient(30))
    assert done.returncode in {-signal.SIGXCPU, -signal.SIGKILL}
    assert done.stdout == b""
