"""Troubles with files: hosts that are down, odd beginnings, an archive that cannot write."""

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from sandbox.artwork import paint
from tests.faults.audit import audit
from tests.faults.members import ended, finished, forget, under_way
from tests.faults.orders import COVER, SONG
from tests.faults.passing import pass_time, settle_in_time, sleep
from tests.faults.troubles.playing import PATIENCE, Trouble, due

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Awaitable

    from sandbox.discord import Call, Member, Message
    from sandbox.vidgo import Task
    from sandbox.vidgo.files import FileKind
    from tests.faults.harness import Stage
    from tests.faults.orders import Order

EMPTYING_SECONDS = 2.0
PREFIXES = [f"{number:02x}" for number in range(256)]


async def the_host_is_down(stage: Stage, scale: int) -> None:
    """Let the host of files be down for minutes."""
    stage.vidgo.fault("files", "status", status=503, lasting=240)
    for _ in range(scale):
        due(await stage.generate())


async def files_are_not_there_at_first(stage: Stage, scale: int) -> None:
    """Let the host refuse files, or hand out nothing, in the first seconds after the end."""
    kinds: tuple[FileKind, ...] = ("not_found", "forbidden", "empty")
    for number, kind in enumerate(kinds * scale):
        stage.vidgo.set_song_files(kind, model=SONG, times=1, lasting=15)
        due(await stage.generate())
        await finished(stage, number + 1)


async def downloads_trickle(stage: Stage, _scale: int) -> None:
    """Let as many songs trickle as may be posted at once, and somebody else's be quick."""
    stage.vidgo.set_song_files("trickle", model=SONG, times=6, rate=1_000)
    for _ in range(6):
        due(await stage.generate())
    await stage.until(lambda: sum("/files/" in point.name for point in stage.wire_trail) > 0, "first file")
    await stage.vidgo.changes.until(
        lambda: sum(task.status == "finished" for task in stage.vidgo.tasks.values()) >= 6 or None, 10
    )
    order = due(await stage.generate(), PATIENCE)
    with suppress(TimeoutError):
        await stage.until(lambda: bool(stage.posts(order)), "post", PATIENCE)
    await stage.settle(100)  # a host that trickles does so the more slowly, the less the machine has left for it


async def music_begins_oddly(stage: Stage, scale: int) -> None:
    """Deliver music in forms that a decoder knows and a list of beginnings does not, and artwork in a new one."""
    kinds: tuple[FileKind, ...] = ("line_end", "m4a", "webm", "flac", "aiff", "wma")
    for kind in kinds[: 2 * scale]:
        stage.vidgo.set_song_files(kind, model=SONG, times=1)
        await _end(stage, await stage.generate())
    stage.vidgo.set_song_files("html", model=SONG, media="image", times=1)
    await _end(stage, await stage.generate())
    stage.vidgo.set_song_files("avif", model=COVER, media="image", times=1)
    await _end(stage, await stage.cover(stage.song()))


async def _end(stage: Stage, order: Order) -> None:
    """Wait a moment for the end that an order is due."""
    with suppress(TimeoutError):
        await ended(stage, due(order), seconds=5)


async def _old_songs(stage: Stage, count: int) -> list[tuple[Task, Member]]:
    """Bring in songs, see them into the archive, and let VidGo delete its files."""
    songs = [stage.song(f"Old Song {number}") for number in range(count)]
    members = [await stage.bring_in(song) for song in songs]
    await stage.settle()
    await pass_time(stage, 20)
    await audit(stage)  # which notes what is in the archive
    for song in songs:
        stage.vidgo.expire_files(song)
    return list(zip(songs, members, strict=True))


async def artwork_is_down_while_old_songs_are_posted(stage: Stage, scale: int) -> None:
    """Let the host of new artwork be down while songs come out of the archive that VidGo has deleted."""
    old = await _old_songs(stage, 6 * scale)
    picture = paint("Old Songs")

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Length: {len(picture)}\r\nConnection: close\r\n\r\n".encode() + picture
        )
        await writer.drain()
        writer.close()

    with socket.socket() as host:
        host.bind(("127.0.0.1", 0))  # and refuses whoever comes
        location = f"http://127.0.0.1:{host.getsockname()[1]}/cover.png"
        stage.vidgo.set_song_files("url", model=COVER, media="image", location=location)
        await under_way(stage, *[due(await stage.cover(song, member=member)) for song, member in old])
        await finished(stage, len(stage.vidgo.tasks))
        await pass_time(stage, 100)
        async with await asyncio.start_server(serve, sock=host):
            await settle_in_time(stage, 1200)


async def the_folder_of_posts_is_emptied(stage: Stage, scale: int) -> None:
    """Have the folder in which files wait to be posted emptied all the time, as a cleaner of old files might."""
    old = await _old_songs(stage, 6 * scale)
    stage.vidgo.hold(COVER)
    await under_way(stage, *[due(await stage.cover(song, member=member)) for song, member in old])
    stage.vidgo.release()
    until = time.monotonic() + EMPTYING_SECONDS
    while time.monotonic() < until:
        for path in stage.posting.iterdir():
            shutil.rmtree(path, ignore_errors=True)
        await asyncio.sleep(0.001)


def _is_over(call: Call) -> bool:
    return call.updated or call.late


async def somebody_is_forgotten_while_songs_are_archived(stage: Stage, scale: int) -> None:
    """Have members forgotten all the time while songs of others go into the archive."""
    orders = [due(await stage.generate(title=f"Sea Song {number}")) for number in range(12 * scale)]
    strangers = [stage.guild.add_member(f"stranger{number}") for number in range(3)]
    pages = [await forget(stage, stranger, stage.backstage) for stranger in strangers]

    async def come_and_go(meanwhile: Awaitable[None]) -> None:
        waiting = asyncio.ensure_future(meanwhile)

        async def press(stranger: Member, page: Message) -> None:
            while not waiting.done():
                call = await stage.discord.press_custom_id(stranger, page, f"forget:{stranger.id}")
                # A press that time has jumped over is answered by Discord itself.
                await stage.until(partial(_is_over, call), "answer")

        await asyncio.gather(*map(press, strangers, pages))
        await waiting

    await come_and_go(ended(stage, *orders))
    sleep(stage, 15)  # until the files go into the archive that nobody waits for
    await come_and_go(stage.settle(5))


async def the_archive_takes_nothing(stage: Stage, scale: int) -> None:
    """Let the archive's disk refuse everything for a while."""
    for prefix in PREFIXES:
        (stage.archive / prefix).write_bytes(b"")
    orders = [due(await stage.generate()) for _ in range(2 * scale)]
    await ended(stage, *orders)
    await stage.settle()
    await pass_time(stage, 20)
    for prefix in PREFIXES:
        (stage.archive / prefix).unlink()
    await pass_time(stage, 900)


FILES = (
    Trouble("the host of files is down", the_host_is_down),
    Trouble("files are not there at first", files_are_not_there_at_first),
    Trouble("downloads trickle", downloads_trickle),
    Trouble("music begins oddly", music_begins_oddly),
    Trouble("artwork is down while old songs are posted", artwork_is_down_while_old_songs_are_posted),
    Trouble("the folder of posts is emptied", the_folder_of_posts_is_emptied),
    Trouble("somebody is forgotten while songs are archived", somebody_is_forgotten_while_songs_are_archived),
    Trouble("the archive takes nothing for a while", the_archive_takes_nothing),
)
