"""The callback route of the real program under ten thousand hostile requests, and honest ones among them."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from bot.web.connections import MAX_CONNECTIONS, STUCK_SECONDS
from bot.web.listener import BODY_SECONDS
from tests.end_to_end.world import eventually
from tests.hostile.siege import Attacker, Siege, besiege, percentiles, post
from tests.hostile.timing import compare
from tests.hostile.wire import Reply, read_reply
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.asyncio(loop_scope="module")

WARM_UP, ATTACK = (1, 240), (2, 1010)
"""Seeds and numbers of generated conversations."""

REQUESTS = 10_000
GROWTH_MB = 40.0
"""What the memory may grow in an attack; a leak of 4 KB a request would be as much, in each attack anew."""

ATTACKS = 5
"""How often the attack is repeated at most until the memory has found its height."""

ATTACKED_P99_SECONDS = 10.0
"""After so long without an answer VidGo takes a callback for lost."""

PAIRS = 2100
# 0.05 is 4.6 standard deviations for so many pairs: one run in 200,000 would fail by chance.
ADVANTAGE = 0.05


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def siege(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Siege]:
    async with besiege(tmp_path_factory.mktemp("siege")) as it:
        yield it


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def slow_body(siege: Siege) -> AsyncIterator[asyncio.Task[Reply]]:
    """Somebody with the right address who never gets to the end of a body, all through the other tests."""

    async def trickle() -> Reply:
        reader, writer = await asyncio.open_connection("127.0.0.1", siege.port)
        try:
            writer.write(post(siege.path, b"").replace(b"Content-Length: 0", b"Content-Length: 100000"))
            reading = asyncio.create_task(read_reply(reader))
            while not reading.done():
                writer.write(b" ")
                await asyncio.wait({reading}, timeout=0.5)
            return reading.result()
        finally:
            writer.transport.abort()

    task = asyncio.create_task(trickle())
    yield task
    task.cancel()


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def deaf_port(siege: Siege) -> AsyncIterator[int]:
    """Somebody who asks for much and never reads a byte of it, all through the other tests."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", siege.port))
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    asking = asyncio.create_task(loop.sock_sendall(deaf, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 5000))
    yield int(deaf.getsockname()[1])
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    deaf.close()


async def test_ten_thousand_hostile_requests(siege: Siege, show: Callable[[str], None]) -> None:
    before, logged = siege.state(), len(siege.world.bot.log_lines)
    quiet = [await siege.ask_honestly() for _ in range(300)]
    memory = [siege.memory()]
    async with Attacker.prepared(siege, *WARM_UP) as attacker:
        reports = [await attacker.attack()]
        memory.append(siege.memory())
    async with Attacker.prepared(siege, *ATTACK) as attacker:
        over = asyncio.Event()
        asking = asyncio.create_task(siege.keep_asking(over))
        for _ in range(ATTACKS):
            reports.append(await attacker.attack())
            memory.append(siege.memory())
            if memory[-1] < memory[-2] + GROWTH_MB:
                break
        over.set()
        attacked = await asking

    sent = sum(report["requests"] for report in reports)
    statuses = sum((Counter(report["statuses"]) for report in reports), Counter[str]())
    show(f"{sent} hostile requests over {sum(report['connections'] for report in reports)} connections: {statuses}")
    show(f"honest callbacks: quiet {percentiles(quiet)}; under attack {percentiles(attacked)}")
    show(f"memory: at first, after the warm-up and after each attack {', '.join(f'{one:.0f} MB' for one in memory)}")

    assert [wrong for report in reports for wrong in report["wrong"]] == []
    assert sent >= REQUESTS
    # What was sent reached the route and all that stands before it.
    assert {"200", "400", "403", "404", "405", "413", "417"} <= set(statuses)
    assert not [status for status in statuses if status.startswith("5")]
    assert [labels for labels in await siege.metric("coverbot_callbacks_total") if 'status="5' in labels] == []
    # Neither a failure nor as much as a line for each stranger. (How far behind discord.py is, it misjudges when busy.)
    assert [line for line in siege.world.bot.log_lines[logged:] if "discord.gateway: Can't keep up" not in line] == []
    assert siege.state() == before
    assert memory[-1] < memory[-2] + GROWTH_MB
    assert sorted(attacked)[int(len(attacked) * 0.99)] < ATTACKED_P99_SECONDS


async def test_the_time_of_the_answer_does_not_tell_whether_a_task_exists(
    siege: Siege, show: Callable[[str], None]
) -> None:
    wrong = post(f"/callbacks/vidgo/{siege.target.task}/{'x' * len(siege.target.token)}")
    unknown = post(f"/callbacks/vidgo/{siege.target.unknown}/{'x' * len(siege.target.token)}")
    right = post(siege.path)
    # The measure itself: with the right token the listener reads a row more, and that shows, if nobody else has the
    # processors all the time.
    for _ in range(10):
        control = await asyncio.to_thread(compare, siege.port, right, unknown, 300)
        show(f"right token or unknown task: {control}")
        if control.advantage > 0.5 + 2 * ADVANTAGE:
            break
    else:
        raise AssertionError("the measure sees nothing")
    compared = await asyncio.to_thread(compare, siege.port, wrong, unknown, PAIRS)
    show(f"wrong token or unknown task: {compared}")
    assert abs(compared.advantage - 0.5) < ADVANTAGE


async def test_idle_connections_shut_nobody_out(siege: Siege) -> None:
    before = siege.state()
    sockets = []
    try:
        for number in range(MAX_CONNECTIONS + 150):
            reader, writer = await asyncio.open_connection("127.0.0.1", siege.port)
            # Half of them say nothing, half never get to the end of their headers.
            writer.write(b"POST /callbacks/vidgo/x/y HTTP/1.1\r\nHost: x\r\nX-Slow: " if number % 2 else b"")
            sockets.append((reader, writer))
            if number % 100 == 0:
                await siege.ask_honestly()
        await siege.ask_honestly()
        ports = [int(writer.get_extra_info("sockname")[1]) for _, writer in sockets]
        await eventually(lambda: len(siege.connected()) <= MAX_CONNECTIONS)
        connected = siege.connected()
        # The oldest had to go, the newest are there.
        assert set(ports[-100:]) <= connected
        assert not connected & set(ports[:100])
        assert siege.state() == before
    finally:
        for _, writer in sockets:
            writer.transport.abort()


async def test_a_body_that_does_not_end_is_given_up(siege: Siege, slow_body: asyncio.Task[Reply]) -> None:
    reply = await asyncio.wait_for(slow_body, patient(BODY_SECONDS))
    assert reply.status == 408


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives up readers that do not read")
async def test_a_reader_that_does_not_read_is_given_up(siege: Siege, deaf_port: int) -> None:
    await eventually(lambda: deaf_port not in siege.connected(), STUCK_SECONDS)
