"""Everything that members, wires, crashes and clocks can do to the real flow, in any order.

Hypothesis chooses the order; the wires are stubs, all else is the program's own. After each step and after every
recovery the promises are held against what the wires have seen.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bot.answers import acknowledgements
from bot.replies import abandoned, posting
from bot.vidgo import Status
from bot.words.sentences import errors
from bot.worker import TryLater
from storage import notifications
from storage import tasks as rows
from storage.database import Database
from storage.members import forget
from storage.planned import Gone
from storage.songs import files as file_rows
from storage.songs import library
from tests.model.program import Program
from tests.model.promises import Asked, broken, left_open
from tests.model.wires import Crash, FakeDiscord, FakeInteraction, FakeVidGo, Fate

EXAMPLES, STEPS = 20, 30
SECONDS = float(os.environ.get("COVERBOT_MODEL_SECONDS", "0"))
ROUNDS = 5
"""How many rounds are played at least; they are counted, so that a busy machine plays no fewer than an idle one."""

PHASES = [Phase.generate, *([Phase.shrink] if "COVERBOT_MODEL_SHRINK" in os.environ else [])]
"""Making a failure shorter takes minutes, so it is asked for."""

CHANNELS = (101, 102)
MEMBERS = (11, 12)
YOUNG_SECONDS = 60
"""How old a command may be, by when all is well again, for the program to answer it while Discord lets it."""

TOO_OFTEN = 60
"""How often one thing may be worked on between two steps; whoever spins comes past it at once."""

WHICH = st.integers(0, 59)
"""Which of those that there are, and nothing happens where there are none.

How many there are at a step differs between two plays of the same life, as threads and random ids order what is due;
what is drawn must not, or Hypothesis says that the test is flaky.
"""

TROUBLES = ["busy", "lost before", "lost after", "unreadable", "unknown", "edge", "discord down", "discord lost"]


class Flow(RuleBasedStateMachine):
    """The program between its wires."""

    template: ClassVar[Path]
    """A database without rows; copies of it cost less than migrations."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_790_000_000.0
        """The time by the program's clock."""
        self.set_back = 0
        """Seconds by which the clock was set back: so much later comes what was planned before."""
        self.wrong_by = 0.0
        self.jumped_at = 0.0
        self.unknown: set[int] = set()
        """The commands of members who were forgotten since: nobody knows of them any more."""
        self.fate = Fate()
        self.vidgo = FakeVidGo(self.fate)
        self.discord = FakeDiscord(self.fate, lambda: self.true_time)
        self.directory = Path(tempfile.mkdtemp(prefix="model-"))
        self.interactions: dict[str, FakeInteraction] = {}
        self.asked: list[FakeInteraction] = []
        self.prompts = Counter[str]()
        """How often each song was asked for, by its prompt."""
        self.forgotten: dict[int, int] = {}
        """How many messages there were when a member was forgotten."""
        self.loop = asyncio.new_event_loop()
        self.patches = [
            patch.object(module, "webhook_of", lambda _client, row: self.interactions[row.interaction_token])
            for module in (abandoned, acknowledgements, posting)
        ]
        for one in self.patches:
            one.start()
        self.public_url: str | None = None

    def clock(self) -> float:
        return self.now

    @property
    def true_time(self) -> float:
        """Return the time as Discord knows it."""
        return self.now - self.wrong_by

    @initialize(callbacks=st.booleans())
    def begin(self, callbacks: bool) -> None:
        self.public_url = "https://bot.example" if callbacks else None
        shutil.copyfile(self.template, self.directory / "bot.db")
        self.loop.run_until_complete(self._open())
        self.loop.run_until_complete(self._bring_in_songs())

    def teardown(self) -> None:
        try:
            if hasattr(self, "database"):
                self.fate.trouble, self.fate.die_in = None, None
                self.discord.closed.clear()
                since = max(self.true_time - YOUNG_SECONDS, self.jumped_at)
                young = [one for one in self.asked if one.born_at > since and one.id not in self.unknown]
                self._settle()
                self._audit(settled=True)
                assert [one.id for one in young if one.thinking] == [], "left thinking"
        finally:
            if hasattr(self, "database"):  # whose thread would outlive a failure, and the end of the run wait for it
                self.loop.run_until_complete(self.database.close())
            for one in self.patches:
                one.stop()
            self.loop.close()
            shutil.rmtree(self.directory, ignore_errors=True)

    # The program's lives

    async def _open(self) -> None:
        self.database = await Database.open(f"sqlite:///{self.directory / 'bot.db'}")
        async with self.database.write() as transaction:
            await rows.recover(transaction, self.now)
            await notifications.recover(transaction, self.now)
        self.program = Program(self, self.database)

    async def _bring_in_songs(self) -> None:
        self.tracks = []
        for number, member in enumerate(MEMBERS):
            report = await self._song(f"SONG{number:06}")
            song = (await self.program.songs.bring_in(member, 1, report))[0]
            self.tracks.append(song.task_id)
            async with self.database.write() as transaction:
                found = await file_rows.of(transaction, song.task_id)
                await library.add(transaction, MEMBERS, found, "song", self.now)

    async def _song(self, vidgo_id: str) -> str:
        from tests.model.wires import Made

        self.vidgo.made[vidgo_id] = Made(vidgo_id, {"song": vidgo_id}, None, Status.FINISHED)
        return vidgo_id

    def _run(self, work: Any) -> None:
        """Do something, and start again where the process has died."""
        try:
            self.loop.run_until_complete(_whole(work))
        except Crash:
            self._restart()
        if self.fate.die_in == 0:
            self._restart()

    def _restart(self) -> None:
        self.fate.die_in = None
        self.loop.run_until_complete(_end_the_rest())
        self.loop.run_until_complete(self.database.close())
        self.loop.run_until_complete(self._open())

    async def _work(self) -> None:
        """Let the workers do all that is due now."""
        done: Counter[str] = Counter()
        paused: set[str] = set()
        for _ in range(TOO_OFTEN):
            found = [(work, due.id) for work in self.program.works for due in await work.claim(paused, 50)]
            if not found:
                return
            for work, item in found:
                done[item] += 1
                try:
                    with suppress(Gone):
                        await work.do(item)
                except TryLater:  # the worker lets it rest
                    paused.add(item)
        raise AssertionError(f"this is due again and again: {done.most_common(3)}")

    def _settle(self) -> None:
        """Let everything come to its end, with wires that work."""
        for _ in range(60 + self.set_back // 120):
            for one in self.vidgo.made.values():  # some of it is ordered only now
                if one.status is Status.RUNNING:
                    one.status = Status.FINISHED
            self._run(self._work())
            self.now += 120

    # What can happen

    @rule(member=st.sampled_from(MEMBERS), song=st.sampled_from([0, 1]), channel=st.sampled_from(CHANNELS))
    def ask(self, member: int, song: int, channel: int) -> None:
        one: Any = FakeInteraction(self.discord, member, channel)
        self.interactions[one.token] = one
        self.asked.append(one)
        self.forgotten.pop(member, None)
        track = self.tracks[song]
        self._run(self.program.interactions.order(one, lambda who: self.program.covers.cover(who, track)))

    @rule(member=st.sampled_from(MEMBERS), channel=st.sampled_from(CHANNELS), words=st.sampled_from(["sea", "sun"]))
    def generate(self, member: int, channel: int, words: str) -> None:
        one: Any = FakeInteraction(self.discord, member, channel)
        self.interactions[one.token] = one
        self.asked.append(one)
        self.forgotten.pop(member, None)

        async def work(who: Any) -> Any:
            return await self.program.songs.generate(who, prompt=words, style=None, title=None, instrumental=False)

        self.prompts[words] += 1
        self._run(self.program.interactions.order(one, work))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def arrives_twice(self, data: st.DataObject) -> None:
        one: Any = data.draw(st.sampled_from(self.asked))
        if self.true_time - one.born_at > 3:
            return
        track = self.tracks[0]
        self._run(self.program.interactions.order(one, lambda who: self.program.covers.cover(who, track)))

    @rule()
    def work(self) -> None:
        self._run(self._work())

    @rule(seconds=st.sampled_from([1, 10, 70, 400, 2000, 90000]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self._run(self._work())

    @rule(seconds=st.sampled_from([-3600, 40 * 86400]))
    def the_clock_jumps(self, seconds: int) -> None:
        self.jumped_at = self.true_time
        self.wrong_by += seconds
        self.now += seconds
        self.set_back += max(0, -seconds)

    @rule(which=WHICH, status=st.sampled_from([Status.FINISHED, Status.FAILED]), rings=st.booleans())
    def vidgo_ends(self, which: int, status: Status, rings: bool) -> None:
        running = [one for one in self.vidgo.made.values() if one.status is Status.RUNNING]
        if not running:
            return
        one = running[which % len(running)]
        one.status = status
        if rings and one.callback_url is not None:
            task_id = one.callback_url.split("/")[-2]
            self._run(self.program.reading.ring(task_id, one.id, finished=status is Status.FINISHED))
            self._run(self._work())

    @rule(trouble=st.sampled_from([None, *TROUBLES]))
    def wires_change(self, trouble: str | None) -> None:
        self.fate.trouble = trouble

    @rule(channel=st.sampled_from(CHANNELS))
    def a_channel_closes_or_opens(self, channel: int) -> None:
        self.discord.closed ^= {channel}

    @rule(after=st.integers(1, 12))
    def dies_soon(self, after: int) -> None:
        self.fate.die_in = after

    @rule()
    def restarts(self) -> None:
        self._restart()

    @rule(which=WHICH)
    def stop(self, which: int) -> None:
        buttons = self._buttons("stop:")
        if not buttons:
            return
        message, notification, member = buttons[which % len(buttons)]

        async def press() -> None:
            with suppress(errors.MemberError):
                await self.program.library.stop(member, notification, message.id)

        self._run(press())

    @rule(which=WHICH)
    def remove(self, which: int) -> None:
        buttons = self._buttons("remove:")
        if not buttons:
            return
        message, notification, member = buttons[which % len(buttons)]

        async def press() -> None:
            with suppress(errors.MemberError):
                await self.program.library.remove_post(member, notification, message.id, manages=False)
                message.deleted = True

        self._run(press())

    @rule(member=st.sampled_from(MEMBERS))
    def forget(self, member: int) -> None:
        async def work() -> None:
            async with self.database.write() as transaction:
                await forget.forget_member(transaction, member)
            self.forgotten[member] = len(self.discord.messages)
            self.unknown.update(one.id for one in self.asked if one.user.id == member)
            async with self.database.write() as transaction:  # so that there is something to ask for again
                for track in self.tracks:
                    task = await rows.get(transaction, track)
                    if task is not None:
                        found = await file_rows.of(transaction, track)
                        await library.add(transaction, [m for m in MEMBERS if m != member], found, "song", self.now)

        self._run(work())

    def _buttons(self, kind: str) -> list[tuple[Any, str, int]]:
        owners = {one.original.id: one.user.id for one in self.asked if one.original is not None}
        found = []
        for message in self.discord.messages:
            for button in message.buttons if not message.deleted else []:
                if button.startswith(kind):
                    mentioned = next((m for m in MEMBERS if f"<@{m}>" in message.content), MEMBERS[0])
                    found.append((message, button.removeprefix(kind), owners.get(message.id, mentioned)))
        return found

    # What must be true

    @invariant()
    def promises_hold(self) -> None:
        if hasattr(self, "database"):
            self._audit(settled=False)

    def _audit(self, *, settled: bool) -> None:
        asked = Asked(self.asked, self.prompts, self.forgotten)
        found = self.loop.run_until_complete(broken(self.database, self.vidgo, self.discord, asked))
        assert found == [], found
        if settled:
            assert self.loop.run_until_complete(left_open(self.database)) == []


async def _whole(work: Any) -> None:
    """Do something, and what has begun with it."""
    await work
    while rest := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(rest)


async def _end_the_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


async def _make(path: Path) -> None:
    await (await Database.open(f"sqlite:///{path}")).close()


@pytest.mark.timeout(0)
def test_promises_hold_whatever_happens(tmp_path: Path, show: Any) -> None:
    Flow.template = tmp_path / "template.db"
    asyncio.run(_make(Flow.template))
    deadline = time.monotonic() + SECONDS
    play_round()
    rounds = 1
    while rounds < ROUNDS or time.monotonic() < deadline:
        play_round()
        rounds += 1
    show(f"the model played {rounds * EXAMPLES:,} lives of up to {STEPS} steps")


def play_round() -> None:
    run_state_machine_as_test(
        Flow,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            derandomize=False,
            print_blob=True,
            phases=PHASES,
        ),
    )
