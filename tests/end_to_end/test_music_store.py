"""The archive in a store: kept there, posted again from there, fetched there, and not missed while it is away."""

from __future__ import annotations

import hashlib
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import pytest

from bot.media.links import Links
from bot.settings import Settings
from tests.end_to_end.heard import artwork_shown
from tests.end_to_end.music import (
    archive_files,
    archived_whole,
    at_rest,
    eventually,
    expire_everything,
    open_music,
    post_again,
    post_track,
    served,
    track_of,
)
from tests.end_to_end.process import run_program
from tests.end_to_end.world import IMPATIENT, open_world
from tests.stores.moto import new_bucket
from tests.stores.places import PREFIX, InStore, moto
from tests.stores.stand_in import BUCKET, Fault, stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.process import Ended
    from tests.end_to_end.world import World

__all__ = ["moto"]

SECRET = "a-secret-of-nobody"


def settings(url: str, bucket: str, **others: str) -> dict[str, str]:
    return {
        "ARCHIVE_URL": f"s3://{bucket}/{PREFIX}",
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "AKIATESTS",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        **others,
    }


def link_to(world: World, title: str) -> tuple[str, str]:
    """Return the address that the bot would sign for a song, and the song's hash."""
    [row] = world.rows(
        "SELECT tasks.id, media_key, audio_sha256 FROM tasks JOIN files ON task_id = tasks.id "
        "WHERE files.title = ? AND audio_url IS NOT NULL",
        title,
    )
    links = Links(Settings(discord_token="a.b.c", vidgo_api_key="abc", public_url=world.url), time.time)
    made = links.make(cast("Any", SimpleNamespace(**row)), 0, 3600)
    assert made is not None
    return made[0], row["audio_sha256"]


async def test_a_cover_is_kept_in_the_store_posted_again_from_it_and_fetched_there(tmp_path: Path, moto: str) -> None:
    place = InStore(moto, new_bucket(moto))
    async with open_music(tmp_path, module=IMPATIENT, callbacks=True, **settings(moto, place.bucket)) as world:
        ada = world.person("ada")
        song = await ada.imports("Far Away")
        original = await served(world, song)
        track = await track_of(ada, "far away")
        first = await ada.covered()
        await archived_whole(world, song)
        await eventually(lambda: not world.rows("SELECT 1 FROM files WHERE archive_at IS NOT NULL"))
        expire_everything(world)
        await world.bot.stop()
        await world.bot.start()

        again = await ada.covered("Far Away")
        assert again.attachments[0].data == first.attachments[0].data
        assert artwork_shown(again).data == artwork_shown(first).data
        assert (await post_track(ada, track)).attachments[0].data == original
        assert {row["sha256"] for row in world.rows("SELECT sha256 FROM media")} == place.names()
        assert archive_files(world) == []

        link, sha256 = link_to(world, "Far Away")
        async with world.http.get(link, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Cache-Control"]) == (302, "no-store")
            target = answer.headers["Location"]
        assert target.startswith(f"{moto}/{place.bucket}/{place.key(sha256)}?")
        assert "X-Amz-Expires=600" in target
        async with world.http.get(link) as answer:
            assert (answer.status, answer.content_type) == (200, "audio/mpeg")
            assert hashlib.sha256(await answer.read()).hexdigest() == sha256
        async with world.http.get(link, headers={"Range": "bytes=10-19"}) as answer:
            assert (answer.status, await answer.read()) == (206, original[10:20])
        async with world.http.head(link, allow_redirects=True) as answer:
            assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(original)))
        async with world.http.get(link.replace("/0/", "/1/"), allow_redirects=False) as answer:
            assert answer.status == 403

        # What the store has lost is never promised: it is looked for elsewhere, and found in Discord.
        place.remove(sha256)
        async with world.http.get(link, allow_redirects=False) as answer:
            assert (answer.status, await answer.read()) == (200, original)
        assert SECRET not in world.bot.log
        assert "AKIATESTS" not in world.bot.log


async def test_a_store_that_hangs_holds_up_no_post_and_no_download(tmp_path: Path) -> None:
    async with stand_in() as server:
        where = settings(server.url, BUCKET)
        async with open_music(tmp_path, module=IMPATIENT, callbacks=True, **where) as world:
            ada = world.person("ada")
            song = await ada.imports("Before")
            await archived_whole(world, song)
            await at_rest(world)
            server.fault(Fault.HANG)
            began = time.monotonic()
            post = await post_again(ada, "Before")
            assert post.attachments[0].data == await served(world, song)
            later = await ada.imports("Meanwhile")
            covered = await ada.covered("Meanwhile")
            assert covered.attachments
            assert time.monotonic() - began < 60
            link, _ = link_to(world, "Before")
            async with world.http.get(link, timeout=aiohttp.ClientTimeout(60)) as answer:
                assert (answer.status, await answer.read()) == (200, await served(world, song))
            await world.bot.wait_log("the archive cannot keep a file of task")
            assert (await world.get("/readyz"))[0] == 200
            # Nothing was dropped, and what could not be kept is still planned.
            assert world.rows("SELECT 1 FROM files WHERE title = 'Before' AND audio_sha256 IS NOT NULL")
            assert world.rows("SELECT 1 FROM files WHERE title = 'Meanwhile' AND archive_at IS NOT NULL")
            server.mend()
            await archived_whole(world, later, seconds=40)


# Settings


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"ARCHIVE_URL": "https://s3.example.com/songs"},
            "ARCHIVE_URL in the environment must look like s3://bucket/prefix",
        ),
        ({"ARCHIVE_URL": "s3://songs/../other"}, "ARCHIVE_URL in the environment must look like s3://bucket/prefix"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY and AWS_ACCESS_KEY_ID go together, set both or neither"),
        ({"AWS_ENDPOINT_URL": "nowhere"}, "AWS_ENDPOINT_URL in the environment must be an address"),
        ({"ARCHIVE_URL": "s3://another/prefix"}, "ARCHIVE_URL cannot be used: there is no such bucket (NoSuchBucket)"),
    ],
)
async def test_what_cannot_be_is_told_in_one_line(tmp_path: Path, changes: dict[str, str], line: str) -> None:
    async with stand_in() as server:
        where = settings(server.url, BUCKET) | {"DISCORD_TOKEN": "a.b.c", "VIDGO_API_KEY": "abc", "LISTEN_PORT": "0"}
        ended = await run_program(tmp_path, where | changes, "run")
    assert ended.code == 2
    assert len(ended.lines) == 1
    assert line in ended.err
    assert SECRET not in ended.err


async def test_settings_of_other_programs_are_none_of_ours(tmp_path: Path) -> None:
    others = {"AWS_ENDPOINT_URL": "nowhere", "AWS_REGION": "?", "AWS_ACCESS_KEY_ID": "half a pair"}
    keys = {"DISCORD_TOKEN": "a.b.c", "VIDGO_API_KEY": "abc"}
    assert Settings(**cast("Any", {name.lower(): value for name, value in (others | keys).items()})).aws_region is None


async def test_check_tries_what_the_store_has_to_do(tmp_path: Path) -> None:
    async with stand_in() as server, open_world(tmp_path, start=False) as world:

        async def archive_line() -> str:
            ended: Ended = await run_program(tmp_path, world.bot.settings | settings(server.url, BUCKET), "check")
            assert SECRET not in ended.out + ended.err
            return next(line for line in ended.out.splitlines() if "Archive" in line)

        assert (await archive_line()).startswith("ok     Archive: the store puts, gives back and deletes; keeps up to ")
        assert server.objects == {}
        server.fault(Fault.DENIED, "DELETE")
        assert "WRONG  Archive: ARCHIVE_URL: " in await archive_line()
        assert "AccessDenied" in await archive_line()
