"""What can happen to one of several processes, to their server, and to the ways between them, all at random moments."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

from tests.faults.processes.entry import LEASE_SECONDS

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from tests.faults.processes.several import Member
    from tests.faults.processes.stage import SharedStage

    Disaster = Callable[[SharedStage, random.Random], Awaitable[None]]

PAST_LEASE_SECONDS = (1.2 * LEASE_SECONDS, 2 * LEASE_SECONDS)
"""For how long a process is stopped: the others have taken over by then."""

SILENT_SECONDS = 3.0

SESSIONS_SECONDS = 0.2
"""Within which time the server ends all sessions where one of them has died."""


def _somebody(stage: SharedStage, chance: random.Random) -> Member | None:
    there = [one for one in stage.program.members if one.alive and not one.is_suspended]
    return chance.choice(there) if there else None


async def kill(stage: SharedStage, chance: random.Random) -> None:
    """Kill a process."""
    if (one := _somebody(stage, chance)) is not None:
        one.kill()
        await one.ended()
        stage.deaths += 1


async def kill_all(stage: SharedStage, _chance: random.Random) -> None:
    """Kill every process at once."""
    living = [one for one in stage.program.members if one.alive]
    stage.program.kill()
    await asyncio.gather(*(one.ended() for one in living))
    stage.deaths += len(living)


async def kill_and_restart(stage: SharedStage, chance: random.Random) -> None:
    """Kill a process that comes back under the same name before its lease has ended."""
    if (one := _somebody(stage, chance)) is not None:
        one.kill()
        await one.ended()
        stage.deaths += 1
        await one.launch()


async def suspend(stage: SharedStage, chance: random.Random) -> None:
    """Stop a process for longer than its lease, and let it go on."""
    if (one := _somebody(stage, chance)) is not None:
        one.suspend()
        stage.deaths += 1
        await asyncio.sleep(chance.uniform(*PAST_LEASE_SECONDS))
        one.resume()


async def kill_who_hears(stage: SharedStage, _chance: random.Random) -> None:
    """Kill the process that runs the shards, so that nobody hears what is typed until one that stands by does."""
    if (one := stage.shard_holder) is not None and not one.is_suspended:
        one.kill()
        await one.ended()
        stage.deaths += 1


async def hand_over_shards(stage: SharedStage, _chance: random.Random) -> None:
    """Ask the process that runs the shards to end, and start it again."""
    if (one := stage.shard_holder) is not None and not one.is_suspended:
        await _hand_over(one)


async def hand_over(stage: SharedStage, chance: random.Random) -> None:
    """Ask a process to end while everything is under way, and start it again."""
    if (one := _somebody(stage, chance)) is not None:
        await _hand_over(one)


async def _hand_over(one: Member) -> None:
    one.terminate()
    code = await one.ended()
    assert code in (0, -signal.SIGTERM), f"{one.name} ended with {code}:\n{one.log[-4000:]}"
    await one.launch()


async def restart_server(stage: SharedStage, _chance: random.Random) -> None:
    """Restart the server in order: every connection ends."""
    await stage.restart_server(signal.SIGINT)


async def crash_server(stage: SharedStage, _chance: random.Random) -> None:
    """Let the server die as in a crash, and come back."""
    stage.deaths += 1
    await stage.restart_server(signal.SIGQUIT)


async def kill_session(stage: SharedStage, chance: random.Random) -> None:
    """Kill one process of the server's: it ends all its sessions, and recovers by itself."""
    with suppress(psutil.NoSuchProcess, IndexError):
        children = psutil.Process(stage.server.pid).children()
        sessions = [one for one in children if "coverbot" in " ".join(one.cmdline()) and "idle" in one.cmdline()[0]]
        stage.program.outages.append(stage.time.now())
        os.kill(chance.choice(sessions or children).pid, signal.SIGKILL)
        stage.deaths += 1
        with suppress(TimeoutError):  # the others end a moment later
            await stage.until(lambda: not stage.is_readable, "end of the sessions", SESSIONS_SECONDS)
        stage.program.outages.append(stage.time.now())


async def cut_ears(stage: SharedStage, _chance: random.Random) -> None:
    """Cut every connection on which processes hear each other."""
    for way in stage.ways:
        way.cut()


async def deafen(stage: SharedStage, chance: random.Random) -> None:
    """Let a connection on which others are heard fall silent without an end."""
    way = chance.choice(stage.ways)
    way.freeze()
    await asyncio.sleep(SILENT_SECONDS)
    way.thaw()


DISASTERS: tuple[Disaster, ...] = (
    kill,
    kill,
    kill_and_restart,
    kill_and_restart,
    kill_all,
    suspend,
    hand_over,
    restart_server,
    crash_server,
    kill_session,
    cut_ears,
    deafen,
)
"""What may happen, as often as it stands here."""

WITH_SHARDS: tuple[Disaster, ...] = (*DISASTERS, kill_who_hears, kill_who_hears, kill_who_hears, hand_over_shards)
"""What may happen where one hears for all."""
