"""Old rows are deleted by one process, and the others leave that alone without asking again and again."""

from __future__ import annotations

import time

from bot.replies.expiry import Expiry
from storage.database import Database, Server
from tests.postgresql import shared_server


async def test_a_process_that_does_not_lead_has_nothing_to_do_and_nothing_to_wait_for() -> None:
    url = await shared_server().new_database()
    databases = [await Database.open(url, Server(process=name, version="1")) for name in ("first", "second")]
    for database in databases:
        await database.join(time.time)
    leader, other = databases
    assert (leader.leads, other.leads) == (True, False)
    assert await Expiry(leader, time.time).claim((), 1) != []
    assert await Expiry(leader, time.time).next_due(()) is not None
    assert await Expiry(other, time.time).claim((), 1) == []
    assert await Expiry(other, time.time).next_due(()) is None
    for database in databases:
        await database.close()
    await shared_server().drop(url)
