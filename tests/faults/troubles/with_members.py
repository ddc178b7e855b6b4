"""Troubles that members make: impatience, repetition, second thoughts."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.faults.members import acknowledged, extend, forget, library
from tests.faults.orders import EXTENSION, SONG
from tests.faults.troubles.playing import Trouble, due

if TYPE_CHECKING:
    from tests.faults.harness import Stage


async def a_button_is_pressed_twice(stage: Stage, scale: int) -> None:
    """Press *Extend…* twice in a moment, and send both forms."""
    for number in range(scale):
        song = stage.song()
        member = await stage.bring_in(song)
        page = await library(stage, member, stage.channels[number])
        orders = await asyncio.gather(*(extend(stage, member, song, page) for _ in range(2)))
        await acknowledged(stage, *map(due, orders))
        stage.vidgo.release(EXTENSION)
        await stage.settle()


async def an_interaction_comes_twice(stage: Stage, scale: int) -> None:
    """Deliver interactions twice, as two sessions of a shard get them."""
    for _ in range(2 * scale):
        order = due(await stage.generate())
        stage.discord.deliver_again(order.call)
        await acknowledged(stage, order)


async def a_command_takes_minutes(stage: Stage, _scale: int) -> None:
    """Let minutes pass on the clock while a command is still being carried out."""
    slow = stage.vidgo.fault("detail", "slow", seconds=3)
    order = due(await stage.cover(stage.song()))
    await stage.vidgo.wait_fault(slow)
    stage.program.set_clock(400)
    due(await stage.generate())
    with suppress(TimeoutError):
        await stage.until(lambda: stage.ended(order) and len(stage.vidgo.accepted()) >= 2, "order", 15)


async def somebody_is_forgotten_meanwhile(stage: Stage, _scale: int) -> None:
    """Have members forgotten whose songs are waited for, are being made, and are being fetched."""
    stage.vidgo.set_song_files("trickle", model=SONG, times=1, rate=8_000)
    fetched = await stage.generate()
    await stage.until(lambda: any("/files/" in point.name for point in stage.wire_trail), "file that is asked for")
    await forget(stage, fetched.member, stage.backstage)
    stage.vidgo.hold(SONG)
    made = await stage.generate()
    await acknowledged(stage, made)
    await forget(stage, made.member, stage.backstage)
    stage.vidgo.release()
    await stage.settle(10)


MEMBERS = (
    Trouble("a button is pressed twice", a_button_is_pressed_twice),
    Trouble("an interaction comes twice", an_interaction_comes_twice),
    Trouble("a command takes minutes", a_command_takes_minutes),
    Trouble("somebody is forgotten meanwhile", somebody_is_forgotten_meanwhile),
)
