"""How `run` ends: in order, in time, and with exit code 0, whatever is under way and however early it is asked to."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.process import SHUTDOWN_SECONDS, environment
from tests.end_to_end.world import COVER, eventually, open_world

if TYPE_CHECKING:
    from tests.end_to_end.world import World

HANGS = 60.0
STARTS = 5


async def begin(directory: Path, settings: dict[str, str], command: str) -> asyncio.subprocess.Process:
    """Start a command and return once it holds signals back, which is the first thing that it does, or handles them.

    A busy machine may look away until that is over; then another one is started.
    """
    for _ in range(STARTS):
        process = await _started(directory, settings, command)
        with suppress(TimeoutError, FileNotFoundError):
            await eventually(partial(_is_ready, process), 4)
            return process
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
    raise AssertionError(f"{command} was never seen to hold signals back")


def _is_ready(process: asyncio.subprocess.Process) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    fields = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Sig"))
    blocked, caught = (int(fields[name], 16) for name in ("SigBlk", "SigCgt"))
    return bool(blocked & 1 << (signal.SIGINT - 1) or caught & 1 << (signal.SIGTERM - 1))


async def _started(directory: Path, settings: dict[str, str], command: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bot", command),
        cwd=directory,
        env=environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """Return exit code and what was written to stdout and stderr."""
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def nowhere(directory: Path) -> dict[str, str]:
    """Return settings with which nobody is reached."""
    address = "http://127.0.0.1:9"  # where nobody listens
    return {
        "DISCORD_TOKEN": "a.bot.token",
        "DISCORD_API_URL": address,
        "VIDGO_API_KEY": "a-key",
        "VIDGO_API_URL": address,
        "DATABASE_URL": f"sqlite:///{directory}/coverbot.db",
        "LISTEN_PORT": "0",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seconds", [0, 0.2, 0.5, 1.0])
async def test_a_start_can_be_broken_off_at_any_moment(tmp_path: Path, number: signal.Signals, seconds: float) -> None:
    process = await begin(tmp_path, nowhere(tmp_path), "run")
    await asyncio.sleep(seconds)
    process.send_signal(number)
    code, _, err = await ended(process)
    assert code == 0, err
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("seconds", [0, 0.3, 0.8])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_check_that_is_broken_off_does_not_say_that_all_is_fine(
    tmp_path: Path, seconds: float, number: signal.Signals
) -> None:
    asked: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _reader, writer: asked.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent:
        settings = nowhere(tmp_path) | {"DISCORD_API_URL": f"http://127.0.0.1:{port}"}
        try:
            process = await begin(tmp_path, settings, "check")
            await asyncio.sleep(seconds)
            process.send_signal(number)
            code, out, err = await ended(process)
        finally:
            for writer in asked:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()
    assert (code, out, err.splitlines()) == (130, "", ["coverbot: interrupted"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("command", "code", "said"), [("run", 0, b""), ("check", 130, b"coverbot: interrupted\n")])
async def test_a_pipe_for_settings_that_nobody_writes_to_can_be_left(
    tmp_path: Path, command: str, code: int, said: bytes, number: signal.Signals
) -> None:
    os.mkfifo(tmp_path / ".env")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *("-m", "bot", command), cwd=tmp_path, env=environment({}), stderr=asyncio.subprocess.PIPE
    )
    writing: list[int] = []

    def is_read() -> bool:
        try:
            writing.append(os.open(tmp_path / ".env", os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # nobody has opened it yet
            return False
        return True

    await eventually(is_read)
    ending = asyncio.create_task(process.communicate())
    try:
        # A signal that comes right before a call that waits is seen after that; whoever is not heard presses again.
        for _ in range(10):
            process.send_signal(number)
            if (await asyncio.wait({ending}, timeout=10))[0]:
                break
        _, err = await asyncio.wait_for(ending, 1)
    finally:
        os.close(writing[0])
    assert (process.returncode, err) == (code, said)


async def unfinished_callback(world: World) -> asyncio.StreamWriter:
    """Ring a task's bell with a body that never comes."""
    url = next(str(one.callback_url) for one in world.vidgo.submissions if one.callback_url)
    path = "/" + url.split("/", 3)[3]
    _, writer = await asyncio.open_connection("127.0.0.1", int(world.url.rpartition(":")[2]))
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
    await writer.drain()
    return writer


async def test_everything_under_way_has_one_deadline(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        world.vidgo.duplicate_style = "409_id"
        ada, bob, eve, joe = (world.person(name) for name in ("ada", "bob", "eve", "joe"))
        for person in (ada, bob, eve):
            await person.imports(f"{person.member.name}'s song")
        elsewhere = world.vidgo.add_song("Elsewhere")

        # A post, a download, an order, a command and a callback, none of which comes to an end.
        post = world.discord.slow_posts(ada.channel.id, HANGS, times=1)
        first = await ada.cover()
        await post.used_up()
        world.vidgo.set_song_files("hang", model=COVER, media="image", times=1)
        second = await bob.cover()
        await second.reply()
        world.vidgo.fault("submit", "hang", times=1, seconds=HANGS)
        third = await eve.cover()
        await world.vidgo.wait_submission(lambda one: one.model == COVER and not one.accepted)
        world.vidgo.fault("detail", "hang", times=1, seconds=HANGS)
        fourth = await joe.use("music import", task_id=elsewhere.id)
        await world.vidgo.wait_request(lambda one: "/detail/" in one.path and one.status is None)
        bell = await unfinished_callback(world)

        began = time.monotonic()
        took = await world.bot.stop()
        assert took < SHUTDOWN_SECONDS
        assert time.monotonic() - began < SHUTDOWN_SECONDS
        bell.close()
        assert world.bot.errors() == []

        world.vidgo.clear_song_files()
        for task in world.vidgo.tasks.values():
            task.file_rules.clear()
        await world.bot.start()
        results = await asyncio.gather(ada.result(first), bob.result(second))
        assert [len(result.attachments) for result in results] == [1, 1]
        await asyncio.gather(third.settled(timeout=20), fourth.settled(timeout=20))


async def test_a_gateway_that_does_not_say_goodbye_holds_nothing_up(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        world.discord.gateway.stop_reading()
        assert await world.bot.stop() < SHUTDOWN_SECONDS
        assert world.bot.errors() == []
