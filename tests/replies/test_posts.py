"""What becomes of a result whose files cannot be had, with real hosts and a clock that is turned by hand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import discord
import pytest

from bot.fetching.patience import KEEPS_SECONDS, LASTS_SECONDS, Failures, Stage
from bot.media.links import Links
from bot.replies.parts import NotYet
from bot.replies.posts import Composer, Post
from bot.settings import Settings
from bot.tasks.new import new_task
from bot.vidgo import CoverArt
from storage import tasks as rows
from storage.ids import new_id
from storage.notifications import Notification
from storage.schema import NotificationState, TaskStatus
from storage.songs import files as file_rows
from storage.songs.files import File
from storage.tasks import Task
from tests.media.bench import open_bench
from tests.media.origins import answer, origin, saying
from tests.media.samples import picture, sound
from tests.storage.songs import NOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.media.bench import Bench
    from tests.media.origins import Respond

MP3 = sound("mp3", "libmp3lame", 2.0)
OTHER = sound("mp3", "libmp3lame", 2.5)
PNG = picture("png", "image2pipe", 64, 64, "rgb24")
HOUR = 3600.0


@dataclass
class Desk:
    """A composer, and the host that its files come from."""

    bench: Bench
    composer: Composer

    async def song(self, **values: object) -> tuple[Task, File]:
        file = await self.bench.song(**values)
        async with self.bench.database.read() as connection:
            task = await rows.get(connection, file.task_id)
        assert task is not None
        return task, file

    async def artwork(self, original: Task, url: str) -> Task:
        """Add a finished cover that is artwork alone."""
        task = replace(
            new_task(CoverArt(task_id="SRC"), now=NOW, user_id=1, guild_id=None, title="Song", source_id=original.id),
            status=TaskStatus.FINISHED,
            finished_at=NOW,
            poll_at=None,
        )
        file = File(task.id, 0, None, [url], "Song", "", None, None)
        async with self.bench.database.write() as connection:
            await rows.add(connection, task)
            await file_rows.add(connection, [file])
        return task

    async def compose(self, task: Task, failures: Failures | None = None) -> Post:
        """Compose in a directory that is there for so long only."""
        place = self.bench.place / "post"
        place.mkdir()
        try:
            return await self.composer.compose(notification(task), task, place, limit=10_000_000, failures=failures)
        finally:
            for path in place.iterdir():
                path.unlink()
            place.rmdir()

    async def wait_for(self, task: Task) -> tuple[Post, list[NotYet]]:
        """Compose again whenever that was asked for, and return what comes in the end."""
        seen: list[NotYet] = []
        while True:
            try:
                return await self.compose(task, seen[-1].failures if seen else None), seen
            except NotYet as error:
                seen.append(error)
                self.bench.now += error.seconds
                self.bench.forget_failures()
                assert len(seen) < 1000


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_bench(tmp_path, idle_timeout=1.0) as bench:
        links = Links(Settings(_env_file=None, discord_token="a.b.c", vidgo_api_key="key"), bench.clock)
        yield Desk(bench, Composer(bench.database, bench.files, links, bench.clock))


def notification(task: Task) -> Notification:
    return Notification(
        id=new_id(NOW),
        interaction_id=None,
        task_id=task.id,
        position=0,
        user_id=1,
        guild_id=2,
        channel_id=3,
        application_id=4,
        interaction_token=None,
        token_expires_at=0.0,
        ephemeral=False,
        upload_limit=10_000_000,
        locale="en-US",
        ack_message_id=5,
        ack_wanted=None,
        state=NotificationState.DUE,
        attempts=0,
        attempt_at=NOW,
        sent_at=None,
        failures=None,
        message_id=None,
        error=None,
        created_at=NOW,
        delivered_at=None,
    )


def status(line: str) -> Respond:
    return saying(answer(b"", status=line))


async def closed_port() -> str:
    async with origin(status("200 OK")) as site:
        return site.url()


async def test_a_song_is_composed_with_its_picture(desk: Desk) -> None:
    async with origin(saying(answer(MP3))) as site, origin(saying(answer(PNG))) as gallery:
        task, _ = await desk.song(audio_url=site.url(), image_urls=[gallery.url()])
        post = await desk.compose(task)
    assert [name for _, name in post.files] == ["Song.mp3", "cover.png"]
    assert post.files[0][0].data == MP3


@pytest.mark.parametrize("line", ["503 Service Unavailable", "403 Forbidden", "429 Too Many Requests"])
async def test_a_host_that_is_down_is_waited_for_and_never_said_to_have_nothing(desk: Desk, line: str) -> None:
    async with origin(status(line)) as site:
        task, _ = await desk.song(audio_url=site.url())
        post, seen = await desk.wait_for(task)
    assert desk.bench.now - NOW >= KEEPS_SECONDS
    assert "could not get its file from VidGo, which keeps files for about a day" in post.content
    assert post.files == []
    news = [(error.stage, error.failures.last_at - NOW) for error in seen if error.is_news]
    assert [stage for stage, _ in news] == [Stage.NOT_YET, Stage.STILL_NOT]
    assert news[0][1] <= 30
    assert news[1][1] <= 15 * 60


async def test_404_is_the_end_when_it_lasts(desk: Desk) -> None:
    async with origin(status("404 Not Found")) as site:
        task, _ = await desk.song(audio_url=site.url())
        post, _ = await desk.wait_for(task)
    assert LASTS_SECONDS <= desk.bench.now - NOW <= 15 * 60
    assert "VidGo no longer has its file" in post.content
    assert offered(post) == ["Again", "Remove"]


async def test_an_outage_ends_in_the_song(desk: Desk) -> None:
    asked = 0

    async def respond(_: str, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.write(answer(MP3) if asked > 6 else answer(b"", status="503 Service Unavailable"))

    async with origin(respond) as site:
        task, _ = await desk.song(audio_url=site.url())
        post, seen = await desk.wait_for(task)
    assert len(seen) == 6
    assert [name for _, name in post.files] == ["Song.mp3"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://user@h.example/x.mp3", "names an address for its file that I must not fetch from"),
        ("http://127.0.0.1:0/x.mp3", "names an address for its file that I must not fetch from"),
    ],
)
async def test_an_address_that_must_not_be_asked_is_the_end_at_once(desk: Desk, url: str, words: str) -> None:
    task, _ = await desk.song(audio_url=url)
    assert words in (await desk.compose(task)).content


async def test_a_song_is_not_held_up_for_want_of_its_picture(desk: Desk) -> None:
    for respond in (status("503 Service Unavailable"), status("404 Not Found"), saying(answer(b"<html>"))):
        async with origin(saying(answer(MP3))) as site, origin(respond) as gallery:
            task, _ = await desk.song(audio_url=site.url(), image_urls=[gallery.url()])
            assert [name for _, name in (await desk.compose(task)).files] == ["Song.mp3"]


async def test_artwork_whose_host_is_down_is_never_said_to_be_gone(desk: Desk) -> None:
    async with origin(saying(answer(MP3))) as site:
        original, _ = await desk.song(audio_url=site.url())
        task = await desk.artwork(original, await closed_port())
        with pytest.raises(NotYet):
            await desk.compose(task)
        post, _ = await desk.wait_for(task)
    assert desk.bench.now - NOW >= KEEPS_SECONDS
    assert "could not get its file" in post.content
    assert "no longer has" not in post.content
    assert offered(post) == ["New version…", "Remove"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("503 Service Unavailable", "could not be fetched in a form that plays"),
        ("404 Not Found", "is no longer available"),
    ],
)
async def test_new_artwork_comes_without_the_original_when_that_cannot_be_had(
    desk: Desk, line: str, words: str
) -> None:
    async with origin(status(line)) as site, origin(saying(answer(PNG))) as gallery:
        original, _ = await desk.song(audio_url=site.url())
        post, seen = await desk.wait_for(await desk.artwork(original, gallery.url()))
    assert "New artwork" in post.content
    assert words in post.content
    assert [name for _, name in post.files] == ["cover.png"]
    assert 0 < desk.bench.now - NOW <= 15 * 60
    assert seen[-1].stage is Stage.NOT_YET


async def test_an_original_that_vidgo_deleted_long_ago_holds_nothing_up(desk: Desk) -> None:
    async with origin(status("404 Not Found")) as site, origin(saying(answer(PNG))) as gallery:
        original, _ = await desk.song(audio_url=site.url(), finished_at=NOW - 30 * 24 * HOUR)
        post = await desk.compose(await desk.artwork(original, gallery.url()))
    assert "is no longer available" in post.content


async def test_an_old_song_outlives_artwork_that_hangs_and_a_composer_that_is_stopped(desk: Desk) -> None:
    async def hang(_: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with origin(saying(answer(MP3))) as site, origin(hang) as gallery:
        task, file = await desk.song(audio_url=site.url(), image_urls=[gallery.url()], archive_at=NOW)
        await desk.bench.archive_it(file)
        for number in range(20):
            desk.bench.forget_failures()
            composing = asyncio.create_task(desk.compose(task))
            await asyncio.sleep(0.002 * number)
            composing.cancel()
            await asyncio.gather(composing, return_exceptions=True)
        desk.bench.forget_failures()
        assert [name for _, name in (await desk.compose(task)).files] == ["Song.mp3"]
        kept = await desk.bench.again(file)
        assert site.connections == 1
    assert kept.audio_sha256 is not None
    assert desk.bench.kept() == {kept.audio_sha256}


async def versions(desk: Desk, first: str, second: str) -> Task:
    """Add a finished song in two versions."""
    task, _ = await desk.song(audio_url=first)
    async with desk.bench.database.write() as connection:
        await file_rows.add(connection, [File(task.id, 1, second, [], "Song", "", 2.0, None)])
    return task


async def test_the_second_version_comes_along(desk: Desk) -> None:
    async with origin(saying(answer(MP3))) as site, origin(saying(answer(OTHER))) as other:
        post = await desk.compose(await versions(desk, site.url(), other.url()))
    assert [(name, file.data) for file, name in post.files] == [("Song.mp3", MP3), ("Song_2.mp3", OTHER)]


@pytest.mark.parametrize("line", ["503 Service Unavailable", "404 Not Found"])
async def test_a_second_version_that_is_not_to_be_had_holds_nothing_up(desk: Desk, line: str) -> None:
    async with origin(saying(answer(MP3))) as site, origin(status(line)) as other:
        post = await desk.compose(await versions(desk, site.url(), other.url()))
    assert [name for _, name in post.files] == ["Song.mp3"]
    assert "Version 2" in offered(post)


async def test_a_second_version_that_hangs_is_waited_for_some_seconds_and_no_longer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.replies.parts.WAIT_SECONDS", 0.05)

    async def hang(_: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with origin(saying(answer(MP3))) as site, origin(hang) as other:
        task = await versions(desk, site.url(), other.url())
        await desk.bench.files.audio(await first_file(desk, task), desk.bench.place)
        post, seen = await desk.wait_for(task)
    assert [name for _, name in post.files] == ["Song.mp3"]
    assert "Version 2" in offered(post)
    assert desk.bench.now - NOW <= 10
    assert not any(error.is_news for error in seen)


async def test_a_second_version_that_does_not_fit_beside_the_first_comes_by_its_button(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with origin(saying(answer(MP3))) as site, origin(saying(answer(OTHER))) as other:
        task = await versions(desk, site.url(), other.url())
        monkeypatch.setattr("bot.replies.parts.REQUEST_BYTES", len(MP3) + len(OTHER) - 1)
        post = await desk.compose(task)
        assert [name for _, name in post.files] == ["Song.mp3"]
        assert "Version 2" in offered(post)
        monkeypatch.setattr("bot.replies.parts.REQUEST_BYTES", len(MP3) + len(OTHER))
        assert len((await desk.compose(task)).files) == 2


async def test_of_two_pictures_one_is_enough(desk: Desk) -> None:
    async with (
        origin(saying(answer(MP3))) as site,
        origin(status("404 Not Found")) as gone,
        origin(saying(answer(PNG))) as gallery,
    ):
        original, _ = await desk.song(audio_url=site.url())
        task = await desk.artwork(original, gone.url())
        async with desk.bench.database.write() as connection:
            await file_rows.add(connection, [File(task.id, 1, None, [gallery.url()], "Song", "", None, None)])
        post = await desk.compose(task)
    assert [name for _, name in post.files] == ["Song.mp3", "cover2.png"]
    # There is nothing to choose.
    assert not [label for label in offered(post) if "picture" in label]


def offered(post: Post) -> list[str]:
    """Return what the buttons of a post say."""
    return [str(item.label) for item in post.view.children if isinstance(item, discord.ui.Button)]


async def first_file(desk: Desk, task: Task) -> File:
    async with desk.bench.database.read() as connection:
        found = await file_rows.one(connection, task.id, 0)
    assert found is not None
    return found


async def test_what_takes_long_is_left_to_go_on_by_itself(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.replies.parts.WAIT_SECONDS", 0.05)
    going = asyncio.Event()

    async def respond(_: str, writer: asyncio.StreamWriter) -> None:
        await going.wait()
        writer.write(answer(sound("wav", "pcm_s16le", 2.0)))

    async with origin(respond) as site:
        task, file = await desk.song(audio_url=site.url())
        with pytest.raises(NotYet) as caught:
            await desk.compose(task)
        assert (caught.value.stage, caught.value.is_news) == (Stage.NOTHING, False)
        assert caught.value.failures.tries == 0
        going.set()
        await desk.bench.files.audio(file, desk.bench.place)
        # And then for the decoder.
        with pytest.raises(NotYet):
            await desk.compose(task, caught.value.failures)
        monkeypatch.undo()
        post = await desk.compose(task, caught.value.failures)
        assert site.connections == 1
    assert [name for _, name in post.files] == ["Song.mp3"]
