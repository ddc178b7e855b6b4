"""What a member waits for: `/music status`."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.end_to_end.music import open_music, says
from tests.end_to_end.world import COVER, SONG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot whose members wait."""
    async with open_music(tmp_path_factory.mktemp("status")) as world:
        yield world


async def status(person: Person) -> str:
    """Return what `/music status` says."""
    reply = await (await person.use("music status")).reply()
    assert reply.ephemeral
    return reply.content


async def test_the_status_shows_what_runs_and_since_when(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob")
    await ada.imports("Waiting For Artwork", seconds=3)
    assert "not waiting for anything" in await status(ada)
    world.vidgo.hold(COVER)
    world.vidgo.hold(SONG)
    calls = [await ada.cover(), await ada.use("music generate", prompt="rain", title="Waiting For Rain")]
    for call in calls:
        await call.reply()
    lines = (await status(ada)).splitlines()
    assert len(lines) == 2
    assert "**Waiting For Rain**" in lines[0]
    assert "**Waiting For Artwork**" in lines[1]
    for line in lines:
        since = re.search(r"started <t:(\d+):R>", line)
        assert since is not None
        assert time.time() - 600 < int(since[1]) <= time.time()
    assert "not waiting for anything" in await status(bob)
    world.vidgo.release()
    for call in calls:
        await ada.result(call)
    assert "not waiting for anything" in await status(ada)


async def test_what_vidgo_has_no_room_for_is_shown_as_queued(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("In The Queue")
    world.vidgo.fault("submit", "busy_retry_after", times=1, model=COVER, seconds=1)
    call = await ada.cover()
    acknowledgement = await call.reply()
    await says(acknowledgement, "has not taken")
    assert "VidGo has not taken **In The Queue** yet; it is next in line." in await status(ada)
    await ada.result(call)
    await says(acknowledgement, "is done")
    # Edited when VidGo had no room, when it took it, and when it was done.
    assert len(acknowledgement.edits) == 3
    assert "<t:" in acknowledgement.edits[2]
