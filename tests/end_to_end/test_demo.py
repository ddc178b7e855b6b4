"""`coverbot demo` as a process: what it shows, what it leaves, and that it fails when something did not happen."""

from __future__ import annotations

import io
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from sandbox.artwork import paint
from sandbox.delivered import audio_seconds, cover_picture, picture_size
from tests.patience import patient

ROOT = Path(__file__).parents[2]
DEMO_SECONDS = patient(60)
WIDTH = 100
SONGS = {
    "Harbour_Lights.mp3": 20,
    "Harbour_Lights_acoustic_slow.mp3": 20,
    "Evening_Walk_brass_band.mp3": 12,
    "Harvest_Moon.mp3": 18,
    "Paper_Boats.mp3": 16,
}


@contextmanager
def running_demo(
    directory: Path, *, file_bytes: int = resource.RLIM_INFINITY, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """Start the demo in an empty directory, with an empty home and settings that would break it if they were read.

    No file may grow beyond `file_bytes`.
    """
    home, work = directory / "home", directory / "work"
    home.mkdir()
    work.mkdir(exist_ok=True)
    (work / ".env").write_text("POLL_MIN_SECONDS=nonsense\n")
    env = {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE", "PATH", "LC_", "LANG"))}
    env |= {"HOME": str(home), "PYTHONPATH": str(ROOT), "DATABASE_URL": "nonsense", "DISCORD_TOKEN": "a users own"}
    with subprocess.Popen(
        [sys.executable, "-m", "bot", "demo"],
        cwd=work,
        env=env | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as demo:
        try:
            resource.prlimit(demo.pid, resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
            yield demo
        finally:
            demo.kill()


def bot_of(demo: subprocess.Popen[str]) -> psutil.Process:
    """Wait for the bot that the demo starts."""
    parent = psutil.Process(demo.pid)
    deadline = time.monotonic() + DEMO_SECONDS
    while time.monotonic() < deadline and demo.poll() is None:
        for child in parent.children():
            if child.cmdline()[-1:] == ["run"]:
                return child
        time.sleep(0.02)
    raise AssertionError(f"the demo started no bot: {demo.communicate()[0]}")


def check_transcript(shown: str) -> None:
    """See that the transcript is plain, narrow, short, and what people would see in Discord."""
    assert "\x1b" not in shown
    lines = shown.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert len(lines) <= 120
    assert not [line for line in lines if line != line.rstrip()]
    assert "@ada here is your cover of Harbour Lights, in a new version." in shown
    assert "@ada here is a new version: Harbour Lights (acoustic, slow)." in shown
    # Both versions of a song: in its post or, on a busy machine, the other one behind a button.
    assert re.search(r"▶ Harbour_Lights_2\.mp3 |version 1 of 2 .*\s+\[Version 2\]", shown)
    form = shown.split("── 5 · ")[1].split("── 6 · ", maxsplit=1)[0]
    assert re.search(r"▤ Cover this recording.*The recording must be\s.*: brass band\n\s+\[Submit\]", form, re.DOTALL)
    assert "@ada here is a new version of your recording Evening Walk." in form
    assert "Your songs and covers · 1 to 5 of 6 with “harbour” in the title" in shown
    assert re.search(r"Covering Harvest Moon – started .*\(answered in \d+ ms\)", " ".join(shown.split()))
    assert "covers asked for, ordered, paid and posted: 5 each. Nothing was lost" in shown
    assert re.search(r"\d+ requests to Discord, none of them refused", shown)
    assert not re.search(r"<t:|<@|\*\*|\\", shown)


def test_it_plays_every_step_and_leaves_the_songs(tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        shown, _ = demo.communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 0, shown
    check_transcript(shown)
    check_readme(shown)
    folder = tmp_path / "work" / "demo-output"
    assert "The songs are in demo-output/" in shown
    assert {path.name for path in folder.glob("*.mp3")} == set(SONGS)
    for name, seconds in SONGS.items():
        assert audio_seconds((folder / name).read_bytes()) == pytest.approx(seconds, abs=0.2)
        (artwork,) = [path for path in folder.glob(f"{Path(name).stem}.*") if path.suffix != ".mp3"]
        assert min(picture_size(artwork.read_bytes())) > 0
    inside = cover_picture((folder / "Paper_Boats.mp3").read_bytes())
    assert inside == (folder / "Paper_Boats.png").read_bytes()
    assert not list((tmp_path / "home").iterdir())
    assert {path.name for path in (tmp_path / "work").iterdir()} == {".env", "demo-output"}


def plain(text: str) -> str:
    """Return words without what differs from run to run: numbers, where lines end, and how much is quoted."""
    kept = "\n".join(line for line in text.splitlines() if "↪" not in line)
    one_line = " ".join(re.sub("─+", "", kept).split())
    return re.sub(r"(\d[\d.,:]*|seconds?)", lambda found: "N" if found[0][0].isdigit() else "second", one_line)


def check_readme(shown: str) -> None:
    """See that the README shows what the demo says."""
    [block] = re.findall(r"```text\n(── \d.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    steps = re.split(r"^(?=── )", block, flags=re.MULTILINE)[1:]
    assert len(steps) == 2
    for step in steps:
        assert plain(step) in plain(shown)


def test_it_claims_the_same_to_a_newcomer_who_has_no_description_of_discord(tmp_path: Path) -> None:
    with running_demo(tmp_path, DISCORD_OPENAPI=str(tmp_path / "not-there.json")) as demo:
        shown, _ = demo.communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 0, shown
    check_transcript(shown)


def test_a_bot_that_is_killed_is_reported_at_once(tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        bot_of(demo).kill()
        shown, _ = demo.communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 1
    assert "failed: the bot ended by itself: ended by SIGKILL" in " ".join(shown.split())


def test_a_bot_that_cannot_start_fails_the_demo_with_the_bots_own_words(tmp_path: Path) -> None:
    with running_demo(tmp_path, file_bytes=8192) as demo:
        shown, _ = demo.communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 1
    assert "failed: the bot ended by itself: exit code 2" in " ".join(shown.split())
    assert re.search(r"│ coverbot: DATABASE_URL: ", shown)
    assert not list((tmp_path / "work" / "demo-output").iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_bot_behind(tmp_path: Path, number: signal.Signals) -> None:
    with running_demo(tmp_path) as demo:
        bot = bot_of(demo)
        demo.send_signal(number)
        shown, _ = demo.communicate(timeout=DEMO_SECONDS)
        assert demo.returncode == 1, shown
        assert "The demo was interrupted" in shown
        assert "Traceback" not in shown
        psutil.wait_procs([bot], timeout=patient(5))
        assert not bot.is_running()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "demo-output").write_text("a file where the folder should be")
    with running_demo(tmp_path) as demo:
        shown, _ = demo.communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 1
    assert "The preparation failed: File exists: demo-output" in shown


def mp3(seconds: float, level: float) -> bytes:
    """Make an MP3 of one tone."""
    file = io.BytesIO()
    times = np.arange(round(seconds * 44100)) / 44100
    wave = (level * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


def test_a_song_is_judged_by_its_sound() -> None:
    assert audio_seconds(mp3(2, 0.5)) == pytest.approx(2, abs=0.1)
    assert cover_picture(mp3(2, 0.5)) is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(mp3(2, 0.0), "silent", id="silence"),
        pytest.param(b"", "no readable MP3", id="nothing"),
        pytest.param(b"<!doctype html><title>Sign in</title>" * 100, "no", id="a web page"),
        pytest.param(paint("Paper Boats"), "no", id="a picture"),
    ],
)
def test_what_is_no_song_is_found_out(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        audio_seconds(data)


def test_what_is_no_picture_is_found_out() -> None:
    assert picture_size(paint("Paper Boats"))[0] > 0
    with pytest.raises(ValueError, match="no readable picture"):
        picture_size(b"nonsense" * 100)
