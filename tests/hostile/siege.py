"""A bot under attack: what the attacker knows, what honest senders notice, and what the machine shows."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING, Any, cast

import psutil

from tests.end_to_end.process import ROOT
from tests.end_to_end.world import COVER, eventually, open_world
from tests.hostile.attacks import Target
from tests.hostile.wire import read_reply
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sandbox.discord import Call
    from sandbox.vidgo import Task
    from tests.end_to_end.world import Person, World

UNKNOWN = "0" * 24
# Nothing is asked or archived by itself, so that every change of the database was made by somebody's request.
STILL = {"POLL_MIN_SECONDS": "3600", "POLL_MAX_SECONDS": "3600", "ARCHIVE_MAX_BYTES": "0"}


def post(path: str, body: bytes = b"{}", *headers: str) -> bytes:
    """Return a request that posts JSON."""
    lines = (f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, *headers, "", "")).encode() + body


@dataclass
class Siege:
    """A bot with one cover that VidGo holds back, whose callback address is what it is all about."""

    world: World
    person: Person
    call: Call
    task: Task
    target: Target
    process: psutil.Process

    @property
    def port(self) -> int:
        """Return the listener's port."""
        return int(self.world.url.rpartition(":")[2])

    @property
    def path(self) -> str:
        """Return the path of the right callback address."""
        return f"/callbacks/vidgo/{self.target.task}/{self.target.token}"

    @property
    def honest(self) -> bytes:
        """Return a callback as VidGo sends it while it works; it changes nothing."""
        data = {"task_id": self.task.id, "status": "running", "files": None, "error_message": None}
        return post(self.path, json.dumps({"code": 200, "data": data}).encode(), "Connection: close")

    def state(self, *tables: str) -> list[str]:
        """Return everything in the database, or in some tables of it, as SQL."""
        connection = sqlite3.connect(f"file:{self.world.bot.directory}/coverbot.db?mode=ro", uri=True, timeout=10)
        try:
            lines = list(connection.iterdump())
        finally:
            connection.close()
        starts = tuple(f'INSERT INTO "{table}"' for table in tables)
        return [line for line in lines if not tables or line.startswith(starts)]

    def memory(self) -> float:
        """Return the memory in use by the process, in MB."""
        return float(self.process.memory_info().rss) / 1e6

    def connected(self) -> set[int]:
        """Return the ports of those whose connections the process holds open."""
        return {
            one.raddr.port
            for one in self.process.net_connections("tcp")
            if one.status == psutil.CONN_ESTABLISHED and one.laddr.port == self.port and one.raddr
        }

    async def metric(self, name: str) -> dict[str, float]:
        """Return the values of a metric by their labels."""
        _, text = await self.world.get("/metrics")
        lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith(name))
        return {labels.removeprefix(name): float(value) for labels, _, value in lines}

    async def ask_honestly(self) -> float:
        """Send a callback as VidGo does, over a connection of its own, and return the seconds until its 200."""
        started = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(self.honest)
            reply = await asyncio.wait_for(read_reply(reader), patient(10))
        finally:
            writer.transport.abort()
        assert reply.status == 200, reply
        return time.perf_counter() - started

    async def keep_asking(self, until: asyncio.Event) -> list[float]:
        """Send honest callbacks all the time, a few at once, until told to stop; return what each took."""
        taken: list[float] = []

        async def ask() -> None:
            while not until.is_set():
                taken.append(await self.ask_honestly())
                await asyncio.sleep(0.02)

        await asyncio.gather(ask(), ask())
        return taken


def percentiles(taken: list[float]) -> str:
    """Put durations into words."""
    cuts = quantiles(taken, n=100)
    return f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms over {len(taken)}"


class Attacker:
    """A process that generates hostile requests and sends them when told to."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def prepared(cls, siege: Siege, seed: int, examples: int) -> AsyncIterator[Attacker]:
        """Start the process and give it once its requests are generated."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.hostile.attacker"),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 26,
        )
        attacker = cls(process)
        try:
            await attacker._write(
                {"port": siege.port, "seed": seed, "examples": examples, "target": vars(siege.target)}
            )
            assert await attacker._line() == b"ready\n"
            yield attacker
        finally:
            attacker._stdin.close()
            await process.wait()

    async def attack(self) -> dict[str, Any]:
        """Send everything and return the report."""
        await self._write("go")
        return dict(json.loads(await self._line()))

    @property
    def _stdin(self) -> asyncio.StreamWriter:
        assert self._process.stdin is not None
        return self._process.stdin

    async def _write(self, what: object) -> None:
        self._stdin.write(json.dumps(what).encode() + b"\n")
        await self._stdin.drain()

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), patient(60))
        assert line, "the attacker ended without a word"
        return line


@asynccontextmanager
async def besiege(directory: Path, **settings: str) -> AsyncIterator[Siege]:
    """Start a bot with a cover under way; at the end let it finish, which shows that all this did it no harm."""
    async with open_world(directory, **cast("dict[str, Any]", {**STILL, **settings})) as world:
        ada = world.person("ada")
        song = await ada.imports("Besieged")
        world.vidgo.hold(COVER)
        call = await ada.cover()
        await call.reply()
        submission = await world.vidgo.wait_submission(lambda one: one.input == {"task_id": song.id})
        settled = "SELECT 1 FROM notifications WHERE state = 'waiting' AND ack_message_id IS NOT NULL"
        await eventually(lambda: bool(world.rows(settled)))
        task = world.vidgo.tasks[str(submission.task_id)]
        _, own_id, token = str(task.callback_url).rsplit("/", 2)
        process = psutil.Process(world.bot.pid)
        await world.bot.wait_log("connected to Discord")
        yield Siege(world, ada, call, task, Target(own_id, token, UNKNOWN), process)
        world.vidgo.release(COVER)
        result = await ada.result(call)
        assert "New artwork" in result.content
