"""The listener: VidGo's callbacks, whatever comes in their place, health and metrics."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from bot.web.listener import BODY_SECONDS
from sandbox.vidgo import CallbackFaults
from tests.end_to_end.world import COVER, KEY, TOKEN, WEBHOOK_SECRET, eventually, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sandbox.discord import Call
    from sandbox.vidgo import RequestRecord, Task
    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_SUCH_TASK = '{"message": "no such task"}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def signing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot that knows with which secret VidGo signs."""
    async with open_world(tmp_path_factory.mktemp("signing"), VIDGO_WEBHOOK_SECRET=WEBHOOK_SECRET) as world:
        world.vidgo.webhook_secret = WEBHOOK_SECRET
        yield world


@dataclass
class Waiting:
    """A cover that VidGo holds back, and who waits for it."""

    world: World
    person: Person
    call: Call
    task: Task

    @property
    def url(self) -> str:
        """Return the address that the bot gave to VidGo."""
        return str(self.task.callback_url)

    def state(self) -> list[dict[str, Any]]:
        """Return everything that a callback might change."""
        tasks = self.world.rows("SELECT * FROM tasks WHERE vidgo_id = ?", self.task.id)
        return tasks + self.world.rows("SELECT * FROM notifications WHERE task_id = ?", tasks[0]["id"])

    async def post(self, url: str, data: bytes, **headers: str) -> tuple[int, str]:
        """Post a body to the listener, and return status and answer."""
        async with self.world.http.post(
            url, data=data, headers={"Content-Type": "application/json", **headers}
        ) as response:
            return response.status, await response.text()

    def body(self, **changes: Any) -> bytes:
        """Return the body of a callback that says finished."""
        data = {"task_id": self.task.id, "status": "finished", "files": [], "error_message": None, **changes}
        return json.dumps({"code": 200, "data": data}).encode()


@pytest_asyncio.fixture(loop_scope="module")
async def waiting(calling: World) -> AsyncIterator[Waiting]:
    """A cover under way, whose result is posted once at the end, whatever was sent in between."""
    ada = calling.person("ada")
    song = await ada.imports("Held Back")
    calling.vidgo.hold(COVER)
    call = await ada.cover()
    await call.reply()
    task = await at_rest(calling, song)
    yield Waiting(calling, ada, call, task)
    calling.vidgo.release(COVER)
    result = await ada.result(call)
    assert "New artwork" in result.content


async def at_rest(world: World, song: Task) -> Task:
    """Return the cover of a song once its order is acknowledged and everything about it is written down."""
    submission = await world.vidgo.wait_submission(lambda one: one.input == {"task_id": song.id})
    query = (
        "SELECT 1 FROM notifications JOIN tasks ON tasks.id = task_id "
        "WHERE vidgo_id = ? AND state = 'waiting' AND tasks.status = 'waiting'"
    )
    await eventually(lambda: bool(world.rows(query, submission.task_id)))
    return world.vidgo.tasks[str(submission.task_id)]


# What is not VidGo's


async def test_a_wrong_token_and_an_unknown_task_get_the_same_answer(waiting: Waiting) -> None:
    base, _, token = waiting.url.rpartition("/")
    unknown = f"{base.rpartition('/')[0]}/{'0' * 24}/{token}"
    before = waiting.state()
    for url in (
        f"{base}/{token[:-1]}{'A' if token[-1] != 'A' else 'B'}",
        f"{base}/x",
        f"{base}/{'x' * 4000}",
        f"{base}/%FF%00%F0%9F%98%80",
        unknown,
        f"{base.rpartition('/')[0]}/short/{token}",
        f"{base.rpartition('/')[0]}/{'%27%20OR%201=1'}/{token}",
    ):
        assert await waiting.post(url, waiting.body()) == (403, NO_SUCH_TASK)
    assert waiting.state() == before


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"finished"',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"data": {"task_id": 7, "status": ["finished"]}}',
        b'{"data": {"task_id": "", "status": "finished"}}',
        b'{"data": {"task_id": "\\ud800", "status": "finished"}}',
        b'{"code": 200, "data": {"status": "finished"}}',
        b"1" * 5000,
    ],
    ids=lambda data: repr(data[:20]),
)
async def test_what_is_no_result_is_refused(waiting: Waiting, data: bytes) -> None:
    before = waiting.state()
    status, _ = await waiting.post(waiting.url, data)
    assert status == 400
    assert waiting.state() == before


async def test_the_result_of_another_task_is_refused(waiting: Waiting) -> None:
    other = waiting.world.vidgo.add_song("Another")
    before = waiting.state()
    for task_id in ("SOMEOTHERTASK001", other.id):
        for status in ("finished", "failed", "running"):
            answer, _ = await waiting.post(waiting.url, waiting.body(task_id=task_id, status=status))
            assert answer == 400
    assert waiting.state() == before


async def test_a_body_over_the_limit_is_refused(waiting: Waiting) -> None:
    before = waiting.state()
    status, _ = await waiting.post(waiting.url, waiting.body(padding="x" * 300 * 1024))
    assert status == 413
    # The limit holds for what a compressed body unfolds to.
    bomb = gzip.compress(waiting.body(padding="x" * 5_000_000))
    status, _ = await waiting.post(waiting.url, bomb, **{"Content-Encoding": "gzip"})
    assert status == 413
    assert waiting.state() == before
    # Without a right address nobody's body is even read.
    status, _ = await waiting.post(waiting.url + "x", waiting.body(padding="x" * 300 * 1024))
    assert status == 403


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ({"Content-Encoding": "gzip"}, b"this is not gzip"),
        ({"Content-Encoding": "deflate"}, b"neither is this deflate"),
        ({"Content-Encoding": "gzip"}, gzip.compress(b"x" * 1000, mtime=0)[:-20]),
        ({"Content-Encoding": "deflate"}, zlib.compress(b"{}")[:-3]),
        ({"Content-Encoding": "nonsense"}, b"{}"),
        ({"Content-Type": "multipart/form-data"}, b"{}"),
        ({"Content-Type": "application/json; charset=nonsense"}, b"{}"),
        ({"X-Webhook-Timestamp": "\u00e4" * 50, "X-Webhook-Signature": "\u00e4" * 5000}, b"{}"),
    ],
    ids=str,
)
async def test_no_request_makes_the_listener_fail(waiting: Waiting, headers: dict[str, str], data: bytes) -> None:
    before = waiting.state()
    async with waiting.world.http.post(
        waiting.url, data=data, headers=headers, skip_auto_headers=["Content-Type"]
    ) as response:
        assert 400 <= response.status < 500
    assert waiting.state() == before


async def test_a_connection_that_breaks_off_does_no_harm(waiting: Waiting) -> None:
    before = waiting.state()
    host, port = waiting.world.url.removeprefix("http://").split(":")
    path = waiting.url.removeprefix(waiting.world.url)
    for lines in (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{{",
        f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        f"POST {path} HTTP/9.9\r\n\r\n",
        "\x00\x01\x02\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(lines.encode())
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
        assert not answer.startswith(b"HTTP/1.1 5")
    assert waiting.state() == before
    assert await waiting.world.get("/healthz") == (200, '{"status": "ok"}')


# What is VidGo's


async def test_a_status_that_is_not_final_is_taken_and_changes_nothing(waiting: Waiting) -> None:
    before = waiting.state()
    for status in ("running", "not_started", "queued", "pondering"):
        answer, _ = await waiting.post(waiting.url, waiting.body(status=status))
        assert answer == 200
    assert waiting.state() == before


async def test_a_false_finished_is_found_out_by_the_read(waiting: Waiting) -> None:
    forged = [{"generate_cover": json.dumps([{"file_url": "https://evil.example/x.png", "file_type": "image"}])}]
    reads = len(waiting.world.vidgo.requests)
    status, _ = await waiting.post(waiting.url, waiting.body(files=forged))
    assert status == 200
    await waiting.world.vidgo.wait_request(lambda one: waiting.task.id in one.query, after=reads)
    assert waiting.world.rows("SELECT 1 FROM files WHERE image_urls LIKE '%evil%'") == []
    [row] = waiting.world.rows("SELECT status FROM tasks WHERE vidgo_id = ?", waiting.task.id)
    assert row["status"] in {"waiting", "running"}


async def test_a_repeated_callback_changes_nothing(calling: World) -> None:
    ada = calling.person("ada")
    song = await ada.imports("Said Twice")
    await ada.covered()
    [task] = song.products
    await calling.bot.wait_log("its result is posted")
    before = calling.rows("SELECT * FROM tasks ORDER BY id")
    for _ in range(3):
        assert await calling.vidgo.send_callback(task) == 200
    failed = {"code": 200, "data": {"task_id": task.id, "status": "failed", "error_message": "too late"}}
    assert await calling.vidgo.send_callback(task, failed) == 200
    assert calling.rows("SELECT * FROM tasks ORDER BY id") == before
    # Asked again it is still there, and the channel got exactly these two posts.
    await ada.covered()
    assert len([message for message in ada.channel.messages if message.attachments]) == 2


@pytest.mark.parametrize(
    "faults",
    [
        CallbackFaults(before_answer=True),
        CallbackFaults(stages=True),
        CallbackFaults(out_of_order=True),
        CallbackFaults(repeat=3),
    ],
    ids=["before the answer", "in stages", "out of order", "three times"],
)
async def test_callbacks_in_any_order_lead_to_one_result(calling: World, faults: CallbackFaults) -> None:
    ada = calling.person("ada")
    song = await ada.imports("Any Order")
    calling.vidgo.callback_faults = faults
    try:
        result = await ada.covered()
        await calling.vidgo.wait_delivery(lambda one: one.task_id == song.products[0].id)
    finally:
        calling.vidgo.callback_faults = CallbackFaults()
    assert len(result.attachments) == 1
    assert calling.submitted(song) == 1


async def test_an_unwrapped_body_is_understood(calling: World) -> None:
    ada = calling.person("ada")
    await ada.imports("Unwrapped")
    calling.vidgo.callbacks = "unwrapped"
    try:
        assert len((await ada.covered()).attachments) == 1
    finally:
        calling.vidgo.callbacks = "wrapped"


async def test_a_detail_that_lags_behind_is_read_again(calling: World) -> None:
    ada = calling.person("ada")
    song = await ada.imports("Lagging")

    def reads() -> list[RequestRecord]:
        return [one for one in calling.vidgo.requests if song.products and song.products[0].id in one.query]

    def catch_up(*_request: str) -> None:
        if len(reads()) == 2:
            song.products[0].visible_at = 0.0

    calling.vidgo.detail_lag = 3600.0
    forget = calling.vidgo.on_request(catch_up)
    try:
        result = await ada.covered()
    finally:
        forget()
        calling.vidgo.detail_lag = 0.0
    assert len(result.attachments) == 1
    # At once, after 1 and after 2 more seconds; otherwise this bot would look again after half an hour.
    assert len(reads()) == 3


# Signatures


@pytest.mark.parametrize("signature", ["bad", "stale"])
async def test_a_wrong_signature_is_refused_and_a_right_one_taken(signing: World, signature: Any) -> None:
    ada = signing.person("ada")
    song = await ada.imports(f"Signed {signature}")
    signing.vidgo.callback_faults = CallbackFaults(signature=signature)
    signing.vidgo.hold(COVER)
    call = await ada.cover()
    await call.reply()
    task = await at_rest(signing, song)
    before = signing.rows("SELECT * FROM tasks ORDER BY id")
    signing.vidgo.release(COVER)
    refused = await signing.vidgo.wait_delivery(lambda one: one.task_id == task.id)
    assert refused.status == 403
    assert signing.rows("SELECT * FROM tasks ORDER BY id") == before
    signing.vidgo.callback_faults = CallbackFaults()
    assert await signing.vidgo.send_callback(task) == 200
    assert len((await ada.result(call)).attachments) == 1


async def test_an_unsigned_callback_is_taken_as_the_address_is_the_credential(signing: World) -> None:
    ada = signing.person("ada")
    await ada.imports("Unsigned")
    signing.vidgo.callback_faults = CallbackFaults(signature="missing")
    try:
        assert len((await ada.covered()).attachments) == 1
    finally:
        signing.vidgo.callback_faults = CallbackFaults()


# Health and metrics


async def wait_readyz(world: World, wanted: int) -> dict[str, Any]:
    """Ask `/readyz` until it answers with a status, and return its body."""
    answers: list[str] = []

    async def answers_so() -> bool:
        status, body = await world.get("/readyz")
        answers.append(body)
        return status == wanted

    await eventually(answers_so)
    return dict(json.loads(answers[-1]))


async def test_ready_means_connected_to_discord(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False) as world:
        world.discord.hang("GET", "^/gateway/bot$", seconds=1)
        await world.bot.launch()
        await world.bot.wait_log("listening on")
        assert await world.get("/healthz") == (200, '{"status": "ok"}')
        status, body = await world.get("/readyz")
        assert status == 503
        assert "discord" in json.loads(body)["reasons"]
        assert await wait_readyz(world, 200) == {"ready": True, "standby": False, "reasons": {}}

        world.discord.refuse_gateway()
        world.discord.drop_gateway()
        assert list((await wait_readyz(world, 503))["reasons"]) == ["discord"]
        assert (await world.get("/healthz"))[0] == 200
        world.discord.refuse_gateway(False)
        await wait_readyz(world, 200)


async def test_a_body_over_the_limit_is_refused_before_it_comes(waiting: Waiting) -> None:
    url = URL(waiting.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"POST {url.raw_path} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{{".encode())
    # Less than a body that is awaited may take.
    assert (await asyncio.wait_for(reader.readline(), BODY_SECONDS - 5)).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_metrics_can_be_read_by_prometheus_and_hold_no_secret(waiting: Waiting) -> None:
    base = waiting.url.rpartition("/")[0]
    for url, data in ((waiting.url, b"{"), (f"{base}/x", b"{}"), (waiting.url, b"x" * 300 * 1024)):
        await waiting.post(url, data)
    async with waiting.world.http.get(waiting.world.url + "/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain")
        text = await response.text()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    callbacks = {
        sample.labels["status"]: sample.value
        for sample in families["coverbot_callbacks"].samples
        if sample.name.endswith("_total")
    }
    assert {"400", "403", "413"} <= set(callbacks)
    live = [sample for sample in families["coverbot_tasks_live"].samples if sample.value]
    assert [(sample.value, sample.labels["status"] in ("waiting", "running")) for sample in live] == [(1, True)]
    assert families["process_resident_memory_bytes"].samples[0].value > 1_000_000
    assert [secret for secret in (TOKEN, KEY, waiting.url.rpartition("/")[2]) if secret in text] == []
