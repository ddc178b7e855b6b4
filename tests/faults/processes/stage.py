"""Three processes between a Discord and a VidGo on a PostgreSQL, with a way to each thing that can break."""

from __future__ import annotations

import asyncio
import fcntl
import signal
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sandbox.discord import DiscordStandIn
from sandbox.ports import reserved_port
from sandbox.vidgo import VidGoStandIn
from tests.faults.harness import Point, Stage
from tests.faults.passing import Time
from tests.faults.processes.entry import SharedLaunch
from tests.faults.processes.history import check
from tests.faults.processes.proxy import open_proxy
from tests.faults.processes.recording import BURIED, RECORD, UNTOLD, read_history
from tests.faults.processes.several import Member, Processes
from tests.faults.program import KEY, TOKEN, settings_of
from tests.faults.reading import PostgreSQLReader, Unreadable
from tests.postgresql import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from tests.faults.orders import Order
    from tests.faults.processes.proxy import Proxy
    from tests.faults.program import Nursery
    from tests.postgresql import PostgreSQL

_SHARD_HOLDER = "SELECT name FROM processes JOIN shard_blocks ON shard_blocks.holder = processes.id"

NAMES = ("one", "two", "three")
AN_HOUR = 3600.0
"""How far the clock of the last process's host is off."""


@dataclass(eq=False, repr=False)
class SharedStage(Stage):
    """Everything that several processes live in."""

    program: Processes  # type: ignore[assignment]  # several in the place of one
    server: PostgreSQL = field(kw_only=True)
    ways: list[Proxy] = field(kw_only=True)
    """Through which each process hears the others."""
    deaths: int = 0
    """How often something has died, or was as good as dead for the others."""

    @property
    def on_their_way(self) -> list[Path]:
        """Return what waits to be posted by somebody who lives."""
        locks = self.archive.with_name(f"{self.archive.name}-posting").glob("*.lock")
        return sorted(path for lock in locks if _is_held(lock) for path in lock.with_suffix("").glob("*"))

    def untold(self, order: Order) -> int:
        """Return how often somebody took over who could not know that a private sentence was said."""
        taken_over = self.rows(UNTOLD, *order.place)[0]["times"]
        return super().untold(order) + int(taken_over)

    @property
    def archived(self) -> list[Path]:
        """Return every file but those that the dead have begun: they go within the hour, as others might be at it."""
        begun = {row["sha256"] for row in self.rows("SELECT sha256 FROM media WHERE state = 'coming'")}
        return [path for path in super().archived if not path.name.startswith(".") and path.name not in begun]

    def ends(self) -> list[float]:
        """Return when somebody died, could not write anything down, or was thought dead."""
        return sorted([*self.program.ends, *(row["at"] for row in self.rows(BURIED))])

    def broken_history(self) -> list[str]:
        """Return what is wrong with who held what, and when."""
        return check(read_history(self))

    def note_untold(self) -> None:
        """Note nothing: the record of who held what tells it."""

    def arm(self, point: Point | None) -> None:
        """Let the first process that comes past a point die there."""
        self.program.arm(None if point is None else point.name)
        self.armed_at = len(self.program.trail())

    def came_past(self, point: Point) -> bool:
        """Tell whether a process has come past a point since one was told to die somewhere."""
        return point.name in self.program.trail()[self.armed_at :]

    async def died(self, seconds: float = 10) -> None:
        """Wait for the end by `kill` of whoever came past the point."""
        self.deaths += 1
        await super().died(seconds)

    async def recover(self) -> None:
        """Wait until the others have ended everything, and start the dead."""
        self.arm(None)
        await self.settle()
        await super().recover()

    async def restart_server(self, number: signal.Signals) -> None:
        """Stop the server, in order or as a crash would, and start it again."""
        self.program.outages.append(self.time.now())
        await asyncio.to_thread(self.server.stop, number)
        self.program.outages.append(self.time.now())
        await asyncio.to_thread(self.server.start)
        self.program.outages.append(self.time.now())

    @property
    def shard_holder(self) -> Member | None:
        """Return the process that has the lease of the shards, None where none has it or nobody can tell."""
        with suppress(Unreadable):
            names = {row["name"] for row in self.rows(_SHARD_HOLDER)}
            return next((one for one in self.program.members if one.name in names and one.alive), None)
        return None

    @property
    def is_readable(self) -> bool:
        """Tell whether the server answers."""
        try:
            return bool(self.rows("SELECT 1 AS one"))
        except Unreadable:
            return False

    @property
    def is_heard(self) -> bool:
        """Tell whether anybody gets what members type."""
        return any(one.complete and one.connection is not None for one in self.discord.gateway.sessions)

    async def mend(self) -> None:
        """Let everything work and everybody live again."""
        for way in self.ways:
            way.thaw()
        for one in self.program.members:
            one.resume()
        assert await self.program.start(), f"they do not start again:\n{self.program.log}"
        await self.until(lambda: self.is_heard, "process that runs the shards")

    def _heard(self, wire: str, method: str, path: str, phase: str) -> None:
        """Pass over moments on the wires: each process dies at those of its own."""


@asynccontextmanager
async def open_shared_stage(
    nursery: Nursery,
    directory: Path,
    server: PostgreSQL,
    *,
    callbacks: bool = True,
    trail: bool = False,
    channels: int = 4,
    settings: Mapping[str, str] | None = None,
    stand_by: bool = False,
) -> AsyncIterator[SharedStage]:
    """Start the stand-ins and three processes on an empty database; at the end all are killed.

    Everybody hears every interaction, or one does and the others `stand_by`.
    """
    clock = Time()
    async with (
        DiscordStandIn(token=TOKEN, openapi=None) as discord,
        VidGoStandIn(
            key=KEY, credits=1_000_000, seconds=0.3, audio_seconds=1, picture_size=64, clock=clock.now
        ) as vidgo,
        AsyncExitStack() as stack,
    ):
        url = await server.new_database()
        stack.push_async_callback(_drop, server, url)
        reader = PostgreSQLReader(url)
        stack.callback(reader.close)
        for statement in RECORD:
            reader.rows(statement)
        ports = [stack.enter_context(reserved_port()) for _ in NAMES]
        # Whoever is called back is another one each time.
        front = await stack.enter_async_context(
            open_proxy(*(partial(asyncio.open_connection, "127.0.0.1", port) for port in ports))
        )
        socket = str(server.directory / ".s.PGSQL.5432")
        ways = [
            await stack.enter_async_context(open_proxy(partial(asyncio.open_unix_connection, socket))) for _ in NAMES
        ]
        guild = discord.add_guild("Harbour")
        places = [guild.add_channel(f"music{number}") for number in range(channels)]
        database = urlsplit(url).path.removeprefix("/")
        members = []
        for name, port, way in zip(NAMES, ports, ways, strict=True):
            own = {
                **settings_of(discord, vidgo, port, callbacks=False),
                "DATABASE_URL": url,
                "DATABASE_LISTEN_URL": f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{way.port}/{database}",
                "ARCHIVE_DIR": f"{directory}/media",
                "PUBLIC_URL": f"http://127.0.0.1:{front.port}" if callbacks else "",
                "PROCESS_NAME": name,
                "SHARD_COUNT": "1",
                **({} if stand_by else {"SHARD_IDS": "0"}),
                **(settings or {}),
            }
            home = directory / name
            home.mkdir()
            skew = AN_HOUR if name == NAMES[-1] else 0.0
            launch = SharedLaunch(str(home), control=str(directory), trail=trail, skew=skew)
            members.append(Member(nursery, home, own, discord, launch, clock))
        program = Processes(directory, members)
        backstage = guild.add_channel("backstage")
        stage = SharedStage(
            discord,
            vidgo,
            program,
            guild,
            places,
            directory / "media",
            backstage,
            reader,
            time=clock,
            server=server,
            ways=ways,
        )
        try:
            assert await program.start(), program.log
            # Whoever leads registers the commands, and that may not be who was ready first.
            await stage.until(lambda: discord.commands.synced, "commands of the bot")
            yield stage
        finally:
            await _end(program)


def _is_held(lock: Path) -> bool:
    """Tell whether somebody lives whose folder has this lock; what the dead have left goes at the next start."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return lock.exists()
    return False


async def _end(program: Processes) -> None:
    program.kill()
    with suppress(TimeoutError, AssertionError):
        for one in program.members:
            await one.ended()


async def _drop(server: PostgreSQL, url: str) -> None:
    with suppress(OSError, Unreadable):
        await server.drop(url)
