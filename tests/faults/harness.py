"""A Discord, a VidGo and the real program between them, with a list of everything that members have asked for."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.discord import DiscordStandIn
from sandbox.ports import reserved_port
from sandbox.vidgo import VidGoStandIn
from tests.databases import lay_database
from tests.faults.crashing import Launch, wire_place
from tests.faults.orders import COVER, Order
from tests.faults.passing import Time
from tests.faults.program import KEY, TOKEN, Program, settings_of
from tests.faults.reading import SQLiteReader, Unreadable
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from sandbox.discord import Call, Channel, Guild, Member, Message
    from sandbox.vidgo import Task
    from sandbox.vidgo.faults import Endpoint
    from tests.faults.orders import Kind
    from tests.faults.program import Nursery
    from tests.faults.reading import Reader

SETTLE_SECONDS = 40.0
LOOK_SECONDS = 0.05
"""How often the database is read while the harness waits for it; nothing tells it of a commit."""

OPEN = ("asked", "due", "sending", "waiting")
LIVE = ("queued", "submitting", "waiting", "running")

_UNDER_WAY = f"""
    SELECT 'task' AS what, CAST(id AS TEXT) AS id, status AS state FROM tasks WHERE status IN {LIVE}
    UNION ALL SELECT 'notification', CAST(id AS TEXT), state FROM notifications WHERE state IN {OPEN}
    UNION ALL SELECT 'answer wanted by', CAST(id AS TEXT), state FROM notifications WHERE ack_wanted > ''
    UNION ALL SELECT 'picture of', CAST(id AS TEXT), state FROM notifications WHERE picture_wanted IS NOT NULL
    UNION ALL SELECT 'file to archive of', CAST(task_id AS TEXT), '' FROM files WHERE archive_at <= ?
"""
"""All in one query: a look opens the database anew, which takes most of its time, and there are thousands of looks."""

_ENDPOINTS: dict[str, Endpoint] = {
    "/api/generate/submit": "submit",
    "/api/generate/detail": "detail",
    "/api/user/balance": "balance",
    "/files/": "files",
}


@dataclass(frozen=True)
class Point:
    """A moment in the program's own order: before or after a commit, or a request and its answer on a `wire`.

    A request "before" which the program dies never has an effect; "after" it the effect is there, the answer is not.
    """

    name: str
    wire: bool = False


@dataclass(eq=False, repr=False)
class Stage:
    """Everything that one program lives in, and the first of the four ledgers: what was asked for."""

    discord: DiscordStandIn
    vidgo: VidGoStandIn
    program: Program
    guild: Guild
    channels: list[Channel]
    archive: Path
    backstage: Channel
    """Where songs are brought in that are covered elsewhere."""
    reader: Reader
    orders: list[Order] = field(default_factory=list)
    presses: list[Call] = field(default_factory=list)
    pressed: list[tuple[Order, int, Call]] = field(default_factory=list)
    """What was pressed under the post of an order: the number of a picture, or 0 for its heart, by each member once."""
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    wire: Point | None = None
    wire_trail: list[Point] = field(default_factory=list)
    """Every kind of moment on the wires since the program was last told where to die."""
    armed_at: int = 0
    """How many commits there had been then, if they are noted."""
    time: Time = field(default_factory=Time)
    open_requests: dict[str, int] = field(default_factory=dict)
    """The program's requests that nobody has answered yet, with the number of looks before the last one began."""
    looks: int = 0
    """How often the harness has looked whether the program is quiet."""
    kept: dict[str, str] = field(default_factory=dict)
    """What audits have seen in the archive: by its hash, the task that it is of."""

    def __post_init__(self) -> None:
        self.discord.on_request(lambda method, path, phase: self._heard("discord", method, path, phase))
        self.vidgo.on_request(lambda phase, method, path: self._heard("vidgo", method, path, phase))

    @property
    def database(self) -> Path:
        """Return the database's file."""
        return self.program.directory / "coverbot.db"

    @property
    def posting(self) -> Path:
        """Return the directory where files wait to be posted."""
        return self.program.directory / "coverbot.db-posting"

    @property
    def on_their_way(self) -> list[Path]:
        """Return what waits there."""
        return sorted(self.posting.glob("*"))

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Read the program's database as an owner's shell would; raises `Unreadable`."""
        return self.reader.rows(query, *values)

    @property
    def archived(self) -> list[Path]:
        """Return every file in the archive's folders."""
        return sorted(self.archive.glob("*/*"))

    def ends(self) -> list[float]:
        """Return when the program died, or as good as died for others."""
        return self.program.ends

    def broken_history(self) -> list[str]:
        """Return what is wrong with who held what, where there are several who might."""
        return []

    # What members do

    def song(self, title: str = "Harbour Lights", **options: Any) -> Task:
        """Make a song elsewhere; songs of one title sound the same, so that they cost nothing to make."""
        return self.vidgo.add_song(title, tags="folk", seconds=1, variants=1, **options)

    async def cover(self, track: Task, channel: Channel | None = None, *, member: Member | None = None) -> Order:
        """Let a member ask for the cover of a song by VidGo's id of it; a new member brings it in on the way."""
        return await self._order("cover", "cover", track.id, channel, member, track=track.id)

    async def bring_in(self, track: Task) -> Member:
        """Let a new member import a song that others may have too, and wait for the answer."""
        order = await self._order("import", "music import", track.id, self.backstage, task_id=track.id)
        await self.until(lambda: self.ended(order), "answer to the import")
        return order.member

    async def generate(self, channel: Channel | None = None, *, title: str = "Sea Song") -> Order:
        """Let a new member ask for a new song; songs of one title sound the same."""
        prompt = f"a song of the sea, number {next(self.numbers)}"
        options = {"prompt": prompt, "style": "folk", "title": title}
        return await self._order("generate", "music generate", prompt, channel, None, **options)

    async def refused(self, channel: Channel | None = None) -> Order:
        """Let a new member ask for something that cannot be had."""
        return await self._order("refused", "cover", "", channel, None, track="NOSUCHTASK000001")

    async def waiting_cover(self, channel: Channel | None = None) -> Order:
        """Let a member order a cover that VidGo works on until it is released, and wait for the acknowledgement."""
        self.vidgo.hold(COVER)
        order = await self.cover(self.song(), channel)
        await self.until(lambda: self._stop_button(order) is not None, "acknowledgement")
        query = (
            "SELECT 1 FROM notifications JOIN tasks ON tasks.id = task_id "
            "WHERE notifications.user_id = ? AND state = 'waiting' AND vidgo_id IS NOT NULL"
        )
        await self.until(lambda: bool(self.rows(query, order.member.id)), "cover that VidGo works on")
        return order

    async def stop_posting(self, order: Order) -> None:
        """Press *Don't post* as soon as it can be pressed; do nothing where the order ended before."""
        await self.until(lambda: self._stop_button(order) is not None or self.ended(order), "button or end")
        button = self._stop_button(order)
        if order.public is None or button is None:
            return
        order.stopped = True
        with suppress(LookupError):
            self.presses.append(await self.discord.press(order.member, order.public, button))

    async def _order(
        self,
        kind: Kind,
        command: str,
        key: str,
        channel: Channel | None,
        member: Member | None = None,
        **options: Any,
    ) -> Order:
        number = next(self.numbers)
        member = member or self.guild.add_member(f"member{number}")
        place = channel or self.channels[number % len(self.channels)]
        call = await self.discord.slash(member, place, command, **options)
        return self.note(kind, member, place, key, call)

    def note(self, kind: Kind, member: Member, place: Channel, key: str, call: Call) -> Order:
        """Add to the list what a member has just asked for."""
        order = Order(kind, member, place, key, call, self.program.lives)
        self.orders.append(order)
        return order

    @staticmethod
    def _stop_button(order: Order) -> str | None:
        public = order.public
        buttons = public.buttons if public is not None else []
        return next((one.custom_id for one in buttons if (one.custom_id or "").startswith("stop:")), None)

    # What becomes of it

    def ignored(self, order: Order) -> bool:
        """Tell whether the command was never acknowledged, and never will be: Discord itself tells the member so."""
        gone = self.program.has_died_since(order.life) or order.call.late
        return order.call.acknowledged_at is None and gone

    def ended(self, order: Order) -> bool:
        """Tell whether a member waits for nothing any more, as far as Discord shows."""
        return self.ignored(order) or bool(order.sentences or self.posts(order)) or self.cancelled(order)

    def posts(self, order: Order) -> list[Message]:
        """Return the messages in an order's channel that address its member, the oldest first."""
        address = f"<@{order.member.id}>"
        found = [one for one in order.channel.messages if one.content.startswith(address)]
        if sum(one.place == order.place for one in self.orders) > 1 and order.call.original is not None:
            found = [one for one in found if one.reference == order.call.original.id]
        return [one for one in found if "takes longer than usual" not in one.content]

    @property
    def places(self) -> list[Channel]:
        """Return every channel and thread of the server, deleted ones too."""
        return list({id(one): one for one in (*self.channels, self.backstage, *self.guild.channels)}.values())

    @staticmethod
    def cancelled(order: Order) -> bool:
        """Tell whether the acknowledgement says that nothing will be posted."""
        return order.public is not None and "will not be posted" in order.public.content

    def unsettled(self) -> str | None:
        """Return what is still under way, or None."""
        waiting = [order for order in self.orders if not self.ignored(order) and order.call.acknowledged_at is None]
        if waiting:
            return f"{len(waiting)} commands without an answer"
        if not self.program.alive:
            return "the program is not running"
        try:
            if rows := self.rows(_UNDER_WAY, self.program.clock):
                return ", ".join(f"{row['what']} {row['id']} {row['state']}" for row in rows)
        except Unreadable as error:
            return f"the database: {error}"
        held = self.vidgo.runner.held
        making = [task for task in self.vidgo.tasks.values() if not task.final and task.model not in held]
        if making:
            return f"{len(making)} tasks of VidGo's"
        if self.vidgo.untold:
            return f"{len(self.vidgo.untold)} callbacks"
        if self.on_their_way:
            return "files on their way"
        if self.program.at_hand:
            return "files at hand"
        late = [order for order in self.orders if order.call.thinking and not order.call.expired]
        return f"{len(late)} thinking" if late else None

    async def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until nothing is under way any more; what is then still there is the audit's to find."""
        with suppress(TimeoutError):
            await self.until(lambda: self.unsettled() is None, "settled database", seconds)

    async def until(self, condition: Callable[[], bool], what: str, seconds: float = SETTLE_SECONDS) -> None:
        """Wait for a condition on any of the ledgers; raises TimeoutError that names `what`."""
        deadline = time.monotonic() + patient(seconds)
        is_last = False
        while not is_last:
            is_last = time.monotonic() > deadline
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self.discord.state.changed.wait_for(condition, seconds, what)
                    return
        raise TimeoutError(f"no {what} within {patient(seconds):g} s: {self.unsettled()}\n{self.program.log[-6000:]}")

    # Deaths

    async def died(self, seconds: float = 10) -> None:
        """Wait for the program's end by `kill`, and note which private sentences it could not record."""
        code = await self.program.ended(seconds)
        assert code == -9, f"the program ended by itself with {code}:\n{self.program.log[-6000:]}"
        self.note_untold()

    def note_untold(self) -> None:
        """Note for which orders a private sentence was said that no row knows of; no protocol closes that window."""
        if not self.database.is_file():
            return
        try:
            rows = self.rows("SELECT user_id, channel_id FROM notifications WHERE state IN ('asked', 'sending')")
        except Unreadable:  # killed in the middle of its first start
            return
        unrecorded = {(row["user_id"], row["channel_id"]) for row in rows}
        for order in self.orders:
            order.untold += order.place in unrecorded and any(one.ephemeral for one in order.sentences)

    def untold(self, order: Order) -> int:
        """Return how often the program could not know that it had said a private sentence: what may be said again."""
        path = f"/{order.call.token}"
        said = [one for one in self.discord.requests if one.method == "POST" and one.path.endswith(path)]
        unheard = [one for one in said if one.answer is not None and (one.lost or (one.status or 0) >= 500)]
        return order.untold + len(unheard)

    async def recover(self) -> None:
        """Start the program again and wait until nothing is under way."""
        self.arm(None)
        assert await self.program.start(), f"it does not start again:\n{self.program.log[-6000:]}"
        await self.settle()

    def arm(self, point: Point | None) -> None:
        """Let the program die at a point, once, or nowhere with None."""
        if point is not None:
            self.wire_trail.clear()
        self.wire = point if point is not None and point.wire else None
        self.program.arm(None if point is None or point.wire else point.name)
        self.armed_at = len(self.program.trail())

    def came_past(self, point: Point) -> bool:
        """Tell whether the program has come past a point since it was told to die somewhere; commits must be noted."""
        return point in self.wire_trail if point.wire else point.name in self.program.trail()[self.armed_at :]

    def _heard(self, wire: str, method: str, path: str, phase: str) -> None:
        """Note a moment on a wire, and let the program die if it is the one."""
        self.open_requests.pop(f"{method} {path}", None)
        if phase == "before":
            self.open_requests[f"{method} {path}"] = self.looks
        point = Point(wire_place(wire, method, path, phase), wire=True)
        if point not in self.wire_trail:
            self.wire_trail.append(point)
        if point != self.wire or not self.program.alive:
            return
        self.wire = None
        if phase == "before" and wire == "discord":
            self.discord.lose_answer(method, f"^{re.escape(path)}$", when="before")
        elif phase == "before":
            endpoint = next(name for prefix, name in _ENDPOINTS.items() if path.startswith(prefix))
            self.vidgo.fault(endpoint, "lose_answer_before")
        self.program.kill()


@asynccontextmanager
async def open_stage(
    nursery: Nursery,
    directory: Path,
    *,
    callbacks: bool = True,
    start: bool = True,
    channels: int = 4,
    launch: Launch | None = None,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Stage]:
    """Start the stand-ins and the program in an empty directory; at the end the program is killed.

    With callbacks the program asks by itself too, three times more slowly; without them it has to.
    """
    clock = Time()
    async with (
        DiscordStandIn(token=TOKEN, openapi=None) as discord,
        VidGoStandIn(
            key=KEY, credits=1_000_000, seconds=0.3, audio_seconds=1, picture_size=64, clock=clock.now
        ) as vidgo,
        AsyncExitStack() as stack,
    ):
        port = stack.enter_context(reserved_port())
        guild = discord.add_guild("Harbour")
        places = [guild.add_channel(f"music{number}") for number in range(channels)]
        defaults = settings_of(discord, vidgo, port, callbacks=callbacks) | {
            "DATABASE_URL": f"sqlite:///{directory}/coverbot.db",
            "ARCHIVE_DIR": f"{directory}/media",
            **(settings or {}),
        }
        program = Program(nursery, directory, defaults, discord, launch or Launch(str(directory)), clock)
        backstage = guild.add_channel("backstage")
        archive = Path(defaults["ARCHIVE_DIR"])
        reader = SQLiteReader(program.directory / "coverbot.db")
        stage = Stage(discord, vidgo, program, guild, places, archive, backstage, reader, time=clock)
        try:
            if start:
                if "DATABASE_URL" not in (settings or {}):
                    lay_database(stage.database)
                assert await program.start(), program.log
            yield stage
        finally:
            program.kill()
            with suppress(TimeoutError, AssertionError):
                await program.ended()
