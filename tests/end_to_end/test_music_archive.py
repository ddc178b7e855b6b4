"""Nothing rots: what was made once can be posted months later, whatever VidGo, the disk or Discord have lost."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.end_to_end.heard import artwork_shown, music_of, picture_in
from tests.end_to_end.music import (
    PERFORM,
    act,
    archive_files,
    archived,
    archived_whole,
    at_rest,
    eventually,
    expire_everything,
    fetches,
    intact,
    open_library,
    open_music,
    perform,
    post_again,
    post_track,
    refusals,
    served,
    thumbnails,
    titles,
    track_of,
)
from tests.end_to_end.world import COVER, IMPATIENT, SONG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sandbox.vidgo import Task
    from tests.end_to_end.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN_MESSAGE = ("GET", 10008)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keeping(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot with all the room it needs."""
    async with open_music(tmp_path_factory.mktemp("keeping"), module=IMPATIENT) as world:
        yield world


@asynccontextmanager
async def never_more_than(world: World, most: int) -> AsyncIterator[None]:
    """Watch the archive's directory all the while: its size, and that no file is there by its name but not whole."""
    sizes: list[int] = []

    async def watch() -> None:
        while True:
            total = 0
            for path in archive_files(world):
                try:
                    total += path.stat().st_size
                    whole = path.name.startswith(".") or intact(path)
                except FileNotFoundError:
                    continue
                assert whole, path
            sizes.append(total)
            await asyncio.sleep(0.002)

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()
        [ended] = await asyncio.gather(watcher, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError), ended
    assert max(sizes) <= most


def flip(path: Path) -> None:
    """Change one bit in the middle of a file, as a tired disk would."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


# Months later


async def test_everything_is_there_months_later(keeping: World) -> None:
    ada = keeping.person("ada")
    old = await ada.imports("Old Song", seconds=3, variants=2)
    tracks = [await track_of(ada, "old song", number) for number in (0, 1)]
    first = await ada.covered()
    performed = await ada.result(await perform(ada, "jazz"))
    made = await ada.use("music generate", prompt="a song of the sea", style="shanty", title="New Song")
    new = await ada.result(made)
    originals = {name: await served(keeping, old, name) for name in ("1.mp3", "2.mp3", "1.jpeg", "2.jpeg")}
    # Nobody has asked for the second variants yet.
    for submission in keeping.vidgo.accepted():
        task = keeping.vidgo.tasks[str(submission.task_id)]
        if task.model != COVER:
            await archived_whole(keeping, task, seconds=30)
    await archived_whole(keeping, old)
    expire_everything(keeping)
    seen = len(keeping.vidgo.requests)
    await keeping.bot.stop()
    await keeping.bot.start()

    again = await ada.covered("Old Song")
    assert again.attachments[0].data == first.attachments[0].data
    assert artwork_shown(again).data == artwork_shown(first).data

    page = await open_library(ada)
    assert titles(page)[:4] == ["New Song", "New Song (2)", "Old Song (jazz)", "Old Song (jazz) (2)"]
    shown = {file.url for file in page.files}
    assert [url in shown for url in thumbnails(page)] == [True] * 5
    posts = [await ada.result(await act(ada, page, number, "Post")) for number in (1, 2, 3)]
    assert posts[0].attachments[0].data == new.attachments[0].data
    assert artwork_shown(posts[0]).data == artwork_shown(new).data
    assert music_of(posts[1].attachments[0].data) != music_of(new.attachments[0].data)
    assert posts[2].attachments[0].data == performed.attachments[0].data

    for number, track in enumerate(tracks, 1):
        post = await post_track(ada, track)
        assert post.attachments[0].data == originals[f"{number}.mp3"]
        assert artwork_shown(post).data == originals[f"{number}.jpeg"]
    assert [one for one in keeping.vidgo.requests[seen:] if one.path.startswith("/files/") and one.status == 200] == []


# Damage and loss


@pytest.mark.parametrize("damage", ["a flipped bit", "a lost file", "a lost half"])
async def test_a_damaged_file_is_fetched_again_and_never_posted(keeping: World, damage: str) -> None:
    ada = keeping.person("ada")
    song = await ada.imports(f"Worn by {damage}")
    original = await served(keeping, song)
    path = await archived(keeping, song)
    log = len(keeping.bot.log_lines)
    if damage == "a flipped bit":
        flip(path)
    elif damage == "a lost file":
        path.unlink()
    else:
        path.write_bytes(original[: len(original) // 2])
    before = fetches(keeping, song, "1.mp3")
    post = await post_again(ada, song.title)
    assert post.attachments[0].data == original
    assert fetches(keeping, song, "1.mp3") == before + 1
    assert path.name in await keeping.bot.wait_log("lost or damaged", after=log)
    await eventually(lambda: path.exists() and intact(path))
    await at_rest(keeping)
    # What was fetched again is kept again.
    keeping.vidgo.expire_files(song)
    assert (await post_again(ada, song.title)).attachments[0].data == original


async def test_damaged_artwork_is_never_shown_and_comes_back(keeping: World) -> None:
    ada = keeping.person("ada")
    song = await ada.imports("Faded")
    picture = await served(keeping, song, "1.jpeg")
    path = await archived(keeping, song, what="image")
    flip(path)
    page = await open_library(ada, "Faded")
    assert [file.data for file in page.files if file.data != picture] == []
    await eventually(lambda: path.is_file() and intact(path))
    page = await open_library(ada, "Faded")
    assert [file.data for file in page.files] == [picture]
    assert artwork_shown(await post_again(ada, "Faded")).data == picture


@pytest.mark.parametrize("damage", ["a flipped bit", "a lost file"])
async def test_what_only_discord_still_has_is_taken_from_there(keeping: World, damage: str) -> None:
    ada = keeping.person("ada")
    song = await ada.imports(f"Discord after {damage}")
    original, picture = await served(keeping, song), await served(keeping, song, "1.jpeg")
    await archived_whole(keeping, song)
    await post_again(ada, song.title)
    keeping.vidgo.expire_files(song)
    for what in ("audio", "image"):
        path = await archived(keeping, song, what=what)
        path.unlink() if damage == "a lost file" else flip(path)
    again = await post_again(ada, song.title)
    assert again.attachments[0].data == original
    assert artwork_shown(again).data == picture
    assert intact(await archived(keeping, song))


async def test_the_version_that_came_along_is_taken_from_the_post_of_the_first(keeping: World) -> None:
    ada = keeping.person("ada")
    call = await ada.use("music generate", prompt="both of them", style="folk", title="Two In Discord")
    first = await ada.result(call)
    assert len(first.attachments) == 2
    song = next(task for task in reversed(keeping.vidgo.tasks.values()) if task.model == SONG)
    await archived_whole(keeping, song)
    keeping.vidgo.expire_files(song)
    for position in range(2):
        (await archived(keeping, song, position)).unlink()
    second = await post_track(ada, await track_of(ada, "two in", 1))
    assert [file.data for file in second.attachments] == [first.attachments[1].data]
    again = await post_track(ada, await track_of(ada, "two in", 0))
    assert [file.data for file in again.attachments] == [first.attachments[0].data]


async def test_the_artwork_of_a_cover_is_taken_from_its_post(keeping: World) -> None:
    ada = keeping.person("ada")
    song = await ada.imports("Cover In Discord", variants=2)
    track = await track_of(ada, "cover in", 1)
    first = await ada.covered(track)
    await archived_whole(keeping, song)
    expire_everything(keeping)
    for path in archive_files(keeping):
        path.unlink()
    again = await ada.covered(track)
    assert artwork_shown(again).data == artwork_shown(first).data
    assert music_of(again.attachments[0].data) == music_of(first.attachments[0].data)
    assert picture_in(again.attachments[0].data) == artwork_shown(first).data


async def test_another_performance_is_never_taken_for_the_original(keeping: World) -> None:
    ada = keeping.person("ada")
    song = await ada.imports("Unlike", seconds=3)
    track = await track_of(ada, "unlike")
    await ada.covered()
    performed = await ada.result(await perform(ada, "metal"))
    extended = await ada.result(await ada.use("music extend", track=track))
    original = music_of(await served(keeping, song))
    path = await archived(keeping, song)
    # Of the original's music nothing is left but the post of its cover.
    keeping.vidgo.expire_files(song)
    path.unlink()
    again = await ada.covered(track)
    heard = music_of(again.attachments[0].data)
    assert heard not in {music_of(performed.attachments[0].data), music_of(extended.attachments[0].data)}
    assert heard == original


async def test_a_performance_is_no_replacement_for_lost_music(keeping: World) -> None:
    ada = keeping.person("ada")
    song = await ada.imports("Unlike Too", seconds=3)
    await ada.result(await perform(ada, "metal"))
    path = await archived(keeping, song)
    keeping.vidgo.expire_files(song)
    path.unlink()
    result = await ada.covered("Unlike Too")
    assert "The original's audio is no longer available" in result.content
    assert result.attachments == []
    assert artwork_shown(result).content_type == "image/png"


async def test_what_nobody_has_any_more_is_explained(keeping: World) -> None:
    ada = keeping.person("ada")
    song = await ada.imports("Lost Everywhere")
    path = await archived(keeping, song)
    keeping.discord.delete_message(await post_again(ada, "Lost Everywhere"))
    await at_rest(keeping)
    keeping.vidgo.expire_files(song)
    path.unlink()
    log = len(keeping.bot.log_lines)
    result = await post_again(ada, "Lost Everywhere")
    assert "**Lost Everywhere**" in result.content
    assert "no longer has its file" in result.content
    assert result.files == []
    assert result.pings == {ada.member.id}
    # The archive, too, has tried in vain.
    await keeping.bot.wait_log("will not be archived", after=log)
    assert set(refusals(keeping)) == {UNKNOWN_MESSAGE}


# Room


async def test_the_least_recently_used_goes_first_and_the_cap_holds(tmp_path: Path) -> None:
    async with open_music(tmp_path, ARCHIVE_MAX_BYTES="200000") as world:
        ada = world.person("ada")
        songs: dict[str, Task] = {}

        async def bring(title: str) -> None:
            songs[title] = await ada.imports(title)
            await archived(world, songs[title])
            await archived(world, songs[title], what="image")

        def kept() -> set[str]:
            rows = world.rows("SELECT title FROM files JOIN media ON media.sha256 = files.audio_sha256 ORDER BY title")
            return {row["title"] for row in rows}

        async with never_more_than(world, 200_000):
            for title in ("Alpha", "Bravo", "Coda"):
                await bring(title)
            assert kept() == {"Alpha", "Bravo", "Coda"}
            await post_again(ada, "Alpha")  # used again, so that B is what nobody has used for longest
            number = 0
            while kept() >= {"Alpha", "Bravo"}:
                number += 1
                assert number < 10, "nothing has gone"
                await bring(f"More {number}")
            assert "Alpha" in kept()
            assert "Bravo" not in kept()
            await bring("Last")
        on_disk = archive_files(world)
        assert {path.name for path in on_disk} == {row["sha256"] for row in world.rows("SELECT sha256 FROM media")}
        assert all(intact(path) for path in on_disk)
        # What has gone is fetched again while VidGo has it, and is taken from nowhere when not.
        assert (await post_again(ada, "Bravo")).attachments[0].data == await served(world, songs["Bravo"])

        # An owner who lowers the cap sees it hold from the start.
        await world.bot.stop()
        world.bot.settings["ARCHIVE_MAX_BYTES"] = "70000"
        await world.bot.start()
        assert sum(path.stat().st_size for path in archive_files(world)) <= 70_000
        assert (await post_again(ada, "Alpha")).attachments[0].data == await served(world, songs["Alpha"])


async def test_a_file_larger_than_the_archive_is_posted_but_not_kept(tmp_path: Path) -> None:
    async with open_music(tmp_path, ARCHIVE_MAX_BYTES="20000") as world, never_more_than(world, 20_000):
        ada = world.person("ada")
        song = await ada.imports("Too Big To Keep")
        assert (await post_again(ada, song.title)).attachments[0].data == await served(world, song)


async def test_switched_off_it_keeps_nothing_and_discord_is_the_second_source(tmp_path: Path) -> None:
    async with open_music(tmp_path, module=IMPATIENT, ARCHIVE_MAX_BYTES="0") as world:
        ada = world.person("ada")
        song = await ada.imports("Unkept")
        first = await ada.covered()
        post = await post_again(ada, "Unkept")
        await at_rest(world)
        assert archive_files(world) == []
        page = await open_library(ada)
        assert titles(page)
        assert page.files == []
        expire_everything(world)
        again = await ada.covered("Unkept")
        assert music_of(again.attachments[0].data) == music_of(first.attachments[0].data)
        assert artwork_shown(again).data == artwork_shown(first).data
        assert (await post_again(ada, "Unkept")).attachments[0].data == post.attachments[0].data
        await at_rest(world)
        for message in ada.channel.messages:
            if message.files:
                world.discord.delete_message(message)
        assert first.deleted
        assert "no longer has its file" in (await post_again(ada, "Unkept")).content
        assert UNKNOWN_MESSAGE in refusals(world)
        assert song.expired
        assert archive_files(world) == []


# Interrupted


async def test_what_is_taken_for_archived_is_there_after_a_kill(tmp_path: Path) -> None:
    async with open_music(tmp_path) as world:
        ada = world.person("ada")
        song = await ada.imports("Just In Time")
        # What the bot holds for archived from here on must be so, whatever happens next.
        await eventually(lambda: world.rows("SELECT 1 FROM files WHERE archive_at IS NULL"))
        await world.bot.kill()
        await world.bot.start()
        await archived_whole(world, song)
        original = await served(world, song)
        expire_everything(world)
        assert (await post_again(ada, "Just In Time")).attachments[0].data == original


async def test_a_kill_in_the_middle_of_a_download_leaves_nothing_behind(tmp_path: Path) -> None:
    def parts() -> list[Path]:
        return list(tmp_path.rglob("*.part"))

    async with open_music(tmp_path) as world:
        ada = world.person("ada")
        # More than is held in memory.
        world.vidgo.set_song_files("trickle", model=SONG, times=1, pause=0.02, data=bytes(5_000_000))
        call = await ada.use("music generate", prompt="slow rain", style="ambient", title="Slow Rain")
        submission = await world.vidgo.wait_submission(lambda one: one.model == SONG)
        task = world.vidgo.tasks[str(submission.task_id)]
        picture = await archived(world, task, what="image", rest=False)
        await eventually(parts)
        await world.bot.kill()
        assert parts()
        assert picture in archive_files(world)
        # Neither version is whole, so neither is there.
        assert {path.name for path in archive_files(world)} <= {
            row["image_sha256"] for row in world.rows("SELECT image_sha256 FROM files")
        }
        media = tmp_path / "data" / "media"
        (media / "ab").mkdir(parents=True, exist_ok=True)
        strays = [media / "ab" / ("ab" * 32), media / "ab" / f".{'ab' * 32}.part"]
        for stray in strays:
            stray.write_bytes(b"half a song")
        not_mine = media / "README"
        not_mine.write_text("an owner's own note")
        world.vidgo.clear_song_files(task)
        await world.bot.start()
        result = await ada.result(call)
        assert result.attachments[0].data == await served(world, task)
        assert [stray for stray in strays if stray.exists()] == []
        assert not_mine.exists()
        await eventually(lambda: not parts())
        not_mine.unlink()
        assert all(intact(path) for path in archive_files(world))
        assert world.vidgo.accepted(SONG) == [submission]
        assert world.vidgo.accepted(PERFORM) == []
