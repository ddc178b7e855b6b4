"""What the tests of the music side share: quick worlds, what people do with their songs, and a look at the disk."""

from __future__ import annotations

import asyncio
import hashlib
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sandbox.discord.state.content import walk_components
from tests.end_to_end.world import eventually as world_eventually
from tests.end_to_end.world import open_world
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from sandbox.discord import Call, Message
    from sandbox.vidgo import Submission, Task
    from tests.end_to_end.world import Person, World

T = TypeVar("T")

ENDS = ["at once", "after kill -9"]
"""How the bot is when a button is pressed."""

PERFORM = "upload-and-cover-audio"
EXTEND = "extend-music"
MENU, TEXT, THUMBNAIL = 3, 10, 11
"""Types of components."""


@asynccontextmanager
async def open_music(
    directory: Path, *, callbacks: bool = False, module: str = "bot", **settings: str
) -> AsyncIterator[World]:
    """Start a world whose bot asks VidGo often; at its end Discord must have refused nothing that no test expected."""
    quick = {"POLL_MIN_SECONDS": "0.2", "POLL_MAX_SECONDS": "1"}
    values = cast("dict[str, Any]", quick | settings)
    async with open_world(directory, callbacks=callbacks, module=module, **values) as world:
        yield world
    refused = refusals(world)
    assert not refused, refused


def refusals(world: World) -> list[tuple[str, int]]:
    """Return what Discord has refused since the last call, as methods and JSON error codes."""
    found = [(one.method, one.code) for one in world.discord.refusals]
    world.discord.refusals.clear()
    return found


async def eventually(probe: Callable[[], T | None], seconds: float = 15) -> T:
    """Return the first true result of `probe`, which looks at files or at the database; nobody tells when they change.

    Raises TimeoutError.
    """
    async with asyncio.timeout(patient(seconds)):
        while not (found := probe()):  # noqa: ASYNC110 (it is another process that changes them)
            await asyncio.sleep(0.02)
    return found


# What people do


async def press(person: Person, message: Message, label_or_custom_id: str) -> Call:
    """Press a button that is there."""
    return await person.world.discord.press(person.member, message, label_or_custom_id)


async def forge(person: Person, message: Message, custom_id: str) -> Call:
    """Send a press of a button that the message may not have."""
    return await person.world.discord.press_custom_id(person.member, message, custom_id)


async def noted(world: World, post: Message) -> Message:
    """Wait until the bot is done with a post: it notes it and changes its acknowledgement right after."""
    query = "SELECT 1 FROM notifications WHERE message_id = ? AND ack_wanted IS NULL"
    await eventually(lambda: world.rows(query, post.id))
    return post


async def handed_over(world: World, acknowledgement: Message) -> Message:
    """Wait until the bot has written down an acknowledgement that people see already."""
    await eventually(lambda: world.rows("SELECT 1 FROM notifications WHERE ack_message_id = ?", acknowledgement.id))
    return acknowledgement


async def answers_noted(world: World) -> None:
    """Wait until the bot has written down that it has answered: killed before, it would answer again."""
    await eventually(lambda: not world.rows("SELECT 1 FROM notifications WHERE state = 'asked'"))


async def says(message: Message, words: str) -> None:
    """Wait until a public message says something."""
    await message.channel.wait_for(lambda one: one is message and words in one.content)


async def fill_in(person: Person, call: Call, **values: Any) -> Call:
    """Fill in the form that a call was answered with, and send it."""
    await call.acknowledged()
    assert call.modal is not None
    return await person.world.discord.submit_modal(person.member, call, values)


async def private_word(call: Call) -> str:
    """Return the one private sentence that a press was answered with."""
    reply = await call.reply()
    assert reply.ephemeral
    assert len(call.replies) == 1
    return reply.content


async def open_library(person: Person, search: str | None = None) -> Message:
    """Open the first page of a member's library."""
    call = await person.use("music library", **({} if search is None else {"search": search}))
    page = await call.reply()
    assert page.ephemeral
    return page


def lines(message: Message) -> list[str]:
    """Return the texts of a layout."""
    return [item["content"] for item in walk_components(message.components) if item["type"] == TEXT]


def cards(page: Message) -> list[str]:
    """Return the cards on a page of the library."""
    return [line for line in lines(page) if re.match(r"\*\*\d+\. ", line)]


def titles(page: Message) -> list[str]:
    """Return the titles on a page of the library, without their numbers."""
    return [card.partition("\n")[0].partition(". ")[2].replace("**", "", 1) for card in cards(page)]


def thumbnails(page: Message) -> list[str]:
    """Return the addresses of the pictures on the cards."""
    return [item["media"]["url"] for item in walk_components(page.components) if item["type"] == THUMBNAIL]


def menu(page: Message) -> dict[str, Any]:
    """Return the menu of a page, where the song is chosen."""
    return next(item for item in walk_components(page.components) if item["type"] == MENU)


async def redrawn(page: Message, call: Call) -> Message:
    """Wait until a page was drawn anew after a press, and return it."""
    await call.changed.wait_for(lambda: call.updated, 10, "page drawn anew")
    return page


async def choose(person: Person, page: Message, number: int) -> Message:
    """Choose the song of a number on the page, counted from 1, and return the page as it is then."""
    chosen = menu(page)
    value = chosen["options"][number - 1]["value"]
    call = await person.world.discord.select(person.member, page, chosen["custom_id"], [value])
    return await redrawn(page, call)


async def act(person: Person, page: Message, number: int, label: str) -> Call:
    """Choose the song of a number on the page, and press what is to be done with it."""
    return await press(person, await choose(person, page, number), label)


async def perform(person: Person, style: str, track: str | None = None) -> Call:
    """Type `/cover` with a style."""
    return await person.use("cover", style=style, **({} if track is None else {"track": track}))


async def post_again(person: Person, title: str) -> Message:
    """Post the newest of one's songs with such a title in the channel, and return the post."""
    page = await open_library(person, title)
    return await noted(person.world, await person.result(await press(person, page, "Post")))


async def post_track(person: Person, track: str) -> Message:
    """Post a song of the library by what autocompletion calls it, whatever page it is on."""
    call = await forge(person, await open_library(person), f"song:post:{track}")
    return await noted(person.world, await person.result(call))


async def track_of(person: Person, typed: str, number: int = 0) -> str:
    """Return what autocompletion offers for what was typed."""
    return str((await person.type_track(typed))[number].value)


# What VidGo and the disk hold


def performances(world: World, song: Task) -> list[Submission]:
    """Return the new performances of a song that were asked of VidGo, whatever address it was told."""
    [row] = world.rows("SELECT id FROM tasks WHERE vidgo_id = ?", song.id)
    places = (f"/files/{song.id}/", f"/media/{row['id']}/")
    asked = [one for one in world.vidgo.submissions if one.model == PERFORM]
    return [one for one in asked if any(place in one.input["upload_url"] for place in places)]


async def served(world: World, song: Task, name: str = "1.mp3") -> bytes:
    """Return a file as VidGo serves it."""
    async with world.http.get(f"{world.vidgo.api_url}/files/{song.id}/{name}") as response:
        assert response.status == 200
        return await response.read()


def fetches(world: World, song: Task, name: str = "") -> int:
    """Return how often VidGo has handed out a song's files, or one of them."""
    path = f"/files/{song.id}/{name}"
    return sum(one.path.startswith(path) and one.status == 200 for one in world.vidgo.requests)


def archive_files(world: World) -> list[Path]:
    """Return every file in the archive's directory, whatever it is."""
    return [path for path in (world.bot.directory / "data" / "media").rglob("*") if path.is_file()]


def intact(path: Path) -> bool:
    """Tell whether a file of the archive is what its name says."""
    return hashlib.sha256(path.read_bytes()).hexdigest() == path.name


async def archived(
    world: World, song: Task, position: int = 0, *, what: str = "audio", seconds: float = 15, rest: bool = True
) -> Path:
    """Return the archived audio or image of a song, once it is there and, with `rest`, nowhere else."""

    def find() -> Path | None:
        rows = world.rows(
            f"SELECT {what}_sha256 AS name FROM files JOIN tasks ON tasks.id = files.task_id "
            "WHERE vidgo_id = ? AND position = ?",
            song.id,
            position,
        )
        name = rows[0]["name"] if rows else None
        return None if name is None else world.bot.directory / "data" / "media" / name[:2] / name

    path = await eventually(find, seconds)
    if rest:
        await at_rest(world)
    return path


async def at_rest(world: World) -> None:
    """Wait until the bot keeps nothing that it has only just got: what it needs then, it has to look for."""

    async def nothing_in_transit() -> bool:
        async with world.http.get(world.url + "/metrics") as response:
            return "\ncoverbot_files_in_transit 0.0\n" in await response.text()

    await world_eventually(nothing_in_transit)


async def archived_whole(world: World, song: Task, seconds: float = 15) -> None:
    """Wait until the audio and artwork of every variant of a song are in the archive."""
    for position in range(len(song.variants)):
        await archived(world, song, position, seconds=seconds)
        await archived(world, song, position, what="image", seconds=seconds)


def expire_everything(world: World) -> None:
    """Let VidGo delete all files, as it does after a day."""
    for task in world.vidgo.tasks.values():
        world.vidgo.expire_files(task)


async def come_back(world: World, when: str) -> None:
    """Kill the bot and start it again, where that is what a button has to outlive."""
    if when == "after kill -9":
        await answers_noted(world)
        await world.bot.kill()
        await world.bot.start()
