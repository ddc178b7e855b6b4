"""The whole bot in the test's own event loop, between the stand-ins, with a time that can be set forward.

Everything is real: sockets, the database file, discord.py. Only time is the test's: `Room.advance` moves the clocks of
all and the event loop's, so that an hour's timers are due at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
import selectors
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar, copy_context
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp

import bot.app
import bot.shutdown
from bot.settings import Settings
from sandbox.discord import DiscordStandIn
from sandbox.ports import reserved_port
from sandbox.vidgo import VidGoStandIn
from tests.databases import lay_database
from tests.end_to_end.process import Bot
from tests.end_to_end.world import KEY, TOKEN, WITHOUT_LIMITS, World
from tests.patience import patient

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
    from pathlib import Path

T = TypeVar("T")

PATIENCE = patient(20.0)
"""How many real seconds a test waits for what should come at once."""

STRIDE = 30.0
"""How far time goes at once, at most."""

LOOK_SECONDS = 0.001

QUIET, HANGS = 5, 200
"""After how many looks at an event loop with nothing to do all is quiet, and a program that it started hangs.

They are counted, not timed: where others have the processors, each look comes as late as what it waits for.
"""

_IN_A_THREAD = "SQLiteConnection."
"""Whose tasks are not broken off: threads die with a program, and here they go on with what they hold."""

_process: ContextVar[int | None] = ContextVar("process", default=None)


class _Selector(selectors.DefaultSelector):
    """Counts how often the event loop had something to do."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for what comes; a loop that has something to do already does not wait."""
        came = super().select(timeout)
        if came or timeout == 0:
            self.turns += 1
        return came


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time can be set forward. It knows which tasks belong to which life of the bot."""

    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        self._watched = _Selector()
        super().__init__(self._watched)
        self.ahead = 0.0
        self._in_threads = 0
        self._programs: list[asyncio.SubprocessTransport] = []
        self._lives: dict[int, set[asyncio.Task[Any]]] = {}
        self.set_task_factory(self._make)  # type: ignore[arg-type]  # typed for any loop

    def time(self) -> float:
        """Return the loop's time."""
        return super().time() + self.ahead

    def until_next(self) -> float:
        """Return the seconds until the next planned moment, at most `STRIDE`."""
        planned = [handle.when() for handle in self._scheduled if not handle.cancelled()]
        return min(min(planned, default=0.0) - self.time(), STRIDE)

    def run_in_executor(  # type: ignore[override]  # typed more loosely
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Do work in a thread, and know that it is not done yet."""
        self._in_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._back)
        return future

    def _back(self, _: asyncio.Future[Any]) -> None:
        self._in_threads -= 1

    async def subprocess_exec(
        self, protocol_factory: Callable[[], Any], program: Any, *args: Any, **options: Any
    ) -> tuple[asyncio.SubprocessTransport, Any]:
        """Start a program, and know whether it runs."""
        transport, protocol = await super().subprocess_exec(protocol_factory, program, *args, **options)
        self._programs.append(transport)
        return transport, protocol

    async def quiet(self) -> None:
        """Return when all wait for what time alone brings: nothing comes, nothing is done, and no thread has work."""
        done = self.create_future()

        def look(turns: int, quiet: int) -> None:
            quiet = 0 if self._watched.turns != turns else quiet + 1
            if quiet >= QUIET and quiet >= self._looks():
                done.set_result(None)
            else:
                self.call_later(LOOK_SECONDS, look, self._watched.turns, quiet)

        look(-1, 0)
        await done

    def _looks(self) -> float:
        """Return how often in a row the event loop has to be found idle."""
        if self._in_threads or any(_is_in_a_thread(task) for life in self._lives.values() for task in life):
            return inf
        self._programs = [one for one in self._programs if one.get_returncode() is None]
        return HANGS if self._programs else QUIET

    def living(self, life: int) -> set[asyncio.Task[Any]]:
        """Return the tasks of a life of the bot that are not done."""
        return {task for task in self._lives.get(life, ()) if not task.done()}

    def _make(self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T], **options: Any) -> asyncio.Task[T]:
        task = asyncio.Task(coro, loop=loop, **options)
        context = options.get("context")
        life = _process.get() if context is None else context.get(_process)
        if life is not None:
            self._lives.setdefault(life, set()).add(task)
            task.add_done_callback(self._lives[life].discard)
        return task


class InProcess(Bot):
    """`coverbot run` inside the test's event loop."""

    def __init__(
        self, directory: Path, settings: Mapping[str, str], discord: DiscordStandIn, clock: Callable[[], float]
    ) -> None:
        super().__init__(directory, settings, discord)
        self._clock = clock
        self.life = 0
        self._stack: AsyncExitStack | None = None
        self._connection: asyncio.Task[None] | None = None
        self.skew = 0.0
        """By how many seconds the bot's wall clock is wrong."""
        self.parts: Any = None

    @property
    def loop(self) -> JumpingLoop:
        """Return the test's event loop."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpingLoop)
        return loop

    @property
    def running(self) -> bool:
        """Return whether it lives."""
        return self._stack is not None

    async def launch(self) -> None:
        """Build the parts and begin to connect, as `bot.app.run` does."""
        assert not self.running
        self.life += 1
        await asyncio.create_task(self._launch())

    async def _launch(self) -> None:
        _process.set(self.life)
        settings = Settings(_env_file=None, **{name.lower(): value for name, value in self.settings.items() if value})
        self._stack = AsyncExitStack()
        await self._stack.__aenter__()
        self.parts = await bot.app._build(settings, self._stack, self._clock, random.Random(1))
        # Time that jumps looks like a connection that was silent for long.
        self.parts.client._connection.heartbeat_timeout = 1e9
        self._connection = asyncio.create_task(bot.app._connect(self.parts, settings))

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin work that dies with the bot."""
        context = copy_context()
        context.run(_process.set, self.life)
        return self.loop.create_task(work, context=context)

    async def start(self) -> None:
        """Start and wait until people can use it."""
        before = self._discord.identified
        await self.launch()
        await self._discord.wait_ready(newer_than=before)

    async def stop(self, number: signal.Signals | None = None) -> float:
        """End in order, as at a SIGTERM, and return how many seconds it took."""
        del number
        assert self._stack is not None
        assert self._connection is not None
        started = time.monotonic()
        deadline = bot.shutdown.Deadline.__new__(bot.shutdown.Deadline)  # without the net that ends a real process
        deadline._at = self.loop.time() + bot.shutdown.SECONDS
        building: asyncio.Future[Any] = self.loop.create_future()
        building.set_result(self.parts)
        await bot.app._shut_down(deadline, self._stack, building, self._connection)  # type: ignore[arg-type]  # done
        await self._end_tasks()
        self._stack = None
        return time.monotonic() - started

    async def kill(self) -> None:
        """Stop everything where it is; nothing in memory is used again."""
        if self._stack is None:
            return
        await self._end_tasks()
        await self.parts.client.close()
        await self._stack.aclose()
        await self._end_tasks()
        self._stack = None

    async def _end_tasks(self) -> None:
        while left := self.loop.living(self.life) - {asyncio.current_task()}:
            for task in left:
                if not _is_in_a_thread(task):
                    task.cancel()
            await asyncio.wait(left)


def _is_in_a_thread(task: asyncio.Task[Any]) -> bool:
    return getattr(task.get_coro(), "__qualname__", "").startswith(_IN_A_THREAD)


class Room(World):
    """A world whose bot is in the same process, and whose time is the test's."""

    bot: InProcess

    def advance(self, seconds: float) -> None:
        """Let time pass at once, for everybody."""
        self.bot.loop.ahead += seconds
        self.discord.advance(seconds)

    def now(self) -> float:
        """Return the true time in Unix seconds."""
        return time.time() + self.bot.loop.ahead

    async def until(self, probe: Callable[[], T | Awaitable[T | None] | None], what: str = "it") -> T:
        """Return the first true result of `probe`; the time that passes meanwhile is real."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = probe()
            found = await found if asyncio.iscoroutine(found) else found
            if found:
                return found  # type: ignore[return-value]  # awaited above
            await asyncio.sleep(0.01)
        raise TimeoutError(f"{what} did not come; the log says:\n{self.bot.log[-4000:]}")

    async def pass_until(
        self, probe: Callable[[], T | None], *, stride: float = 1.0, limit: float = 7200.0
    ) -> tuple[T, float]:
        """Let time pass until `probe` is true; return its result and how many seconds had passed.

        Time goes from one planned moment to the next, by `stride` seconds at least. In between everybody gets what real
        time they need.
        """
        began_at = self.now()
        while (passed := self.now() - began_at) <= limit:
            await self.settle()
            if found := probe():
                return found, passed
            self.advance(max(self.bot.loop.until_next(), stride))
        raise TimeoutError(f"not within {limit:g} s; the log says:\n{self.bot.log[-4000:]}")

    async def settle(self) -> None:
        """Return when all wait for what time alone brings."""
        await self.bot.loop.quiet()

    def check(self) -> None:
        """Hold what must be true of every run, and of one in which all has come to its end."""
        super().check()
        assert "due again unchanged" not in self.bot.log
        ended = "state NOT IN ('asked', 'waiting', 'due', 'sending') AND ack_wanted IS NULL"
        assert self.rows(f"SELECT * FROM notifications WHERE {ended} AND interaction_token IS NOT NULL") == []

    def task(self, where: str = "1", *values: object) -> dict[str, Any]:
        """Return the one task that fits."""
        [row] = self.rows(f"SELECT * FROM tasks WHERE {where}", *values)
        return row

    def tasks(self, status: str) -> int:
        """Return how many tasks have a status."""
        return len(self.rows("SELECT 1 FROM tasks WHERE status = ?", status))

    def reads(self) -> int:
        """Return how often VidGo was asked about a task."""
        return sum(one.path.startswith("/api/generate/detail") for one in self.vidgo.requests)


@asynccontextmanager
async def open_room(
    directory: Path, *, callbacks: bool = True, start: bool = True, vidgo_seconds: float = 90.0, **settings: str
) -> AsyncIterator[Room]:
    """Start the stand-ins and the bot; at the end stop it and check that all was well.

    VidGo takes `vidgo_seconds` for everything, on the test's time.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)

    def now() -> float:
        return time.time() + loop.ahead

    async with (
        DiscordStandIn(token=TOKEN, judge="later") as discord,
        VidGoStandIn(key=KEY, seconds=vidgo_seconds, audio_seconds=1, picture_size=64, clock=now) as vidgo,
        aiohttp.ClientSession() as http,
        AsyncExitStack() as stack,
    ):
        port = stack.enter_context(reserved_port())
        url = f"http://127.0.0.1:{port}"
        defaults = {
            "DISCORD_TOKEN": TOKEN,
            "DISCORD_API_URL": discord.api_url,
            "VIDGO_API_KEY": KEY,
            "VIDGO_API_URL": vidgo.api_url,
            "VIDGO_REQUESTS_PER_SECOND": "200",
            "DATABASE_URL": f"sqlite:///{directory}/coverbot.db",
            **WITHOUT_LIMITS,
            "ARCHIVE_DIR": str(directory / "media"),
            "LISTEN_PORT": str(port),
            "PUBLIC_URL": url if callbacks else "",
            "MEDIA_ALLOW_PRIVATE_HOSTS": "true",
        }
        if "DATABASE_URL" not in settings:
            lay_database(directory / "coverbot.db")
        process = InProcess(directory, defaults | settings, discord, lambda: now() + process.skew)
        room = Room(discord, vidgo, process, discord.add_guild("Harbour"), http, url)
        try:
            with _kept(process.log_lines):
                if start:
                    await process.start()
                yield room
                if process.running:
                    await process.stop()
        finally:
            await process.kill()
        room.check()


@contextmanager
def _kept(lines: list[str]) -> Iterator[None]:
    """Keep what the bot logs, as the program writes it."""

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.extend(self.format(record).splitlines())

    keeper = Keeper()
    keeper.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    rooms = [logging.getLogger(name) for name in ("bot", "storage", "cogs", "discord", "asyncio")]
    for room in rooms:
        room.addHandler(keeper)
    levels = [room.level for room in rooms]
    rooms[0].setLevel(logging.INFO)
    try:
        yield
    finally:
        for room, level in zip(rooms, levels, strict=True):
            room.removeHandler(keeper)
            room.setLevel(level)
