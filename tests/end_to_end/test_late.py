"""Covers that take long: announced, still watched, and given up only at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.end_to_end.music import says
from tests.end_to_end.world import COVER, IMPATIENT, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.end_to_end.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot that announces after one second and gives up after four."""
    settings = {"TASK_TIMEOUT_SECONDS": "1", "TASK_GIVE_UP_SECONDS": "4"}
    directory = tmp_path_factory.mktemp("impatient")
    async with open_world(directory, callbacks=False, start=True, module=IMPATIENT, **settings) as world:
        yield world


async def test_a_late_cover_is_announced_once_and_posted_when_it_is_done(impatient: World) -> None:
    ada = impatient.person("ada")
    song = await ada.imports("Slow Boat")
    impatient.vidgo.hold(COVER)
    call = await ada.cover()
    acknowledgement = await call.reply()
    await says(acknowledgement, "**Slow Boat** needs longer than most")
    assert acknowledgement.pings == set()
    reads = len(impatient.vidgo.requests)
    for _ in range(2):
        await impatient.vidgo.wait_request(lambda one: "/detail/" in one.path, after=reads)
        reads = len(impatient.vidgo.requests)
    impatient.vidgo.release(COVER)
    result = await ada.channel.wait_for(lambda message: bool(message.attachments))
    assert result.replied_to is call.original
    assert "Sorry that it took so long" in result.content
    assert [message for message in ada.channel.messages if message.pings] == [result]
    await says(acknowledgement, "is done:")
    assert len([edit for edit in acknowledgement.edits if "needs longer than most" in edit]) == 1
    assert impatient.submitted(song) == 1


async def test_a_cover_that_never_comes_is_given_up_and_told(impatient: World) -> None:
    ada = impatient.person("ada")
    song = await ada.imports("Lost Boat")
    impatient.vidgo.hold(COVER)
    call = await ada.cover()
    told = await ada.failure(call)
    assert "**Lost Boat**" in told.content
    assert "stopped waiting" in told.content
    [row] = impatient.rows("SELECT status FROM tasks WHERE vidgo_id = ?", song.products[0].id)
    assert row["status"] == "given_up"

    # VidGo had it all the time: asked for again, the cover that exists is taken over.
    impatient.vidgo.duplicate_style = "409"
    impatient.vidgo.release(COVER)
    await impatient.vidgo.wait_task(song.products[0].id, "finished")
    again = await ada.covered()
    assert len(again.attachments) == 1
    assert len(song.products) == 1


async def test_an_order_that_vidgo_has_no_room_for_is_dropped_in_time(impatient: World) -> None:
    ada = impatient.person("ada")
    song = await ada.imports("Crowded Boat")
    impatient.vidgo.fault("submit", "busy_retry_after", model=COVER, seconds=0.3, times=None)
    call = await ada.cover()
    assert "**Crowded Boat**" in (await call.reply()).content
    assert "did not take" in (await ada.failure(call)).content
    impatient.vidgo.clear_faults()
    assert len((await ada.covered()).attachments) == 1
    assert len(song.products) == 1
