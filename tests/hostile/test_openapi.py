"""`docs/openapi.json` held against the running program."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import socket
import time
from collections import Counter
from contextlib import ExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from bot.media.links import Links
from bot.settings import Settings
from bot.web import listener
from bot.web.listener import DOWNLOADS, TURN_SECONDS
from tests.end_to_end.process import ROOT
from tests.end_to_end.world import KEY, TOKEN, eventually
from tests.hostile.siege import besiege
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from storage.tasks import Task
    from tests.hostile.siege import Siege

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

DESCRIPTION = ROOT / "docs" / "openapi.json"
CALLBACK = "/callbacks/vidgo/{task}/{token}"
MEDIA = "/media/{task}/{position}/{expires}/{signature}/song.mp3"
EXAMPLES = 60
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.allow_header_conformance,
]
FRAME = b"\xff\xfb\x90\x64" + bytes(413)
SONG_BYTES = 12_000_000
"""More than two sockets hold between them, so that a download waits for its reader."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def siege(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Siege]:
    async with besiege(tmp_path_factory.mktemp("described"), ARCHIVE_MAX_BYTES="100000000") as it:
        yield it


@pytest.fixture(scope="module")
def described() -> Any:
    return schemathesis.openapi.from_path(DESCRIPTION)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def song_url(siege: Siege) -> str:
    """Return the signed address of a song in the archive."""
    song = siege.world.vidgo.add_song("Described", variants=1)
    siege.world.vidgo.set_song_files("bytes", task=song, data=FRAME * (SONG_BYTES // len(FRAME)))
    await siege.person.brings_in(song)
    archived = (
        "SELECT tasks.id, media_key FROM tasks JOIN files ON task_id = tasks.id WHERE vidgo_id = ? AND audio_sha256"
    )
    await eventually(lambda: bool(siege.world.rows(f"{archived} IS NOT NULL", song.id)), 40)
    [row] = siege.world.rows(f"{archived} IS NOT NULL", song.id)
    return signed(siege, row, 0)


def signed(siege: Siege, row: dict[str, Any], position: int) -> str:
    """Sign an address as the bot does."""
    secrets: Any = {"discord_token": TOKEN, "vidgo_api_key": KEY}
    own = Settings(**secrets, public_url=siege.world.url)
    made = Links(own, time.time).make(cast("Task", SimpleNamespace(**row)), position, 3600)
    assert made is not None
    return made[0]


async def test_it_describes_exactly_the_routes_that_there_are(described: Any) -> None:
    described.validate()
    written = set(
        re.findall(r'web\.(get|post|put|delete|patch|head|route|view)\(\s*"([^"]+)"', inspect.getsource(listener))
    )
    paths = json.loads(DESCRIPTION.read_text())["paths"]
    assert written == {(method, path) for path, methods in paths.items() for method in methods}
    assert len(written) == 5


async def test_other_methods_are_refused(siege: Siege) -> None:
    paths = json.loads(DESCRIPTION.read_text())["paths"]
    for path, methods in paths.items():
        filled = re.sub(r"{\w+}", "0", path)
        for method in ("get", "post", "put", "delete", "patch"):
            async with siege.world.http.request(method, siege.world.url + filled) as response:
                assert (response.status == 405) == (method not in methods), (method, path)


async def test_what_it_generates_is_answered_as_it_says(
    siege: Siege, described: Any, show: Callable[[str], None]
) -> None:
    before, logged = siege.state("tasks", "notifications"), len(siege.world.bot.log_lines)
    answers: Counter[str] = Counter()
    right = {"task": siege.target.task, "token": siege.target.token}
    with requests.Session() as session:
        for path, methods in described.items():
            for operation in methods.values():
                # Where nothing can be said, nothing can be said wrongly.
                for mode in GenerationMode if "{" in path else [GenerationMode.POSITIVE]:
                    await asyncio.to_thread(drive, siege, operation, session, answers, generation_mode=mode)
                if path == CALLBACK:
                    await asyncio.to_thread(drive, siege, operation, session, answers, path_parameters=right)
    show(f"{answers.total()} requests by schemathesis: {dict(answers)}")
    assert answers.total() >= 5 * EXAMPLES
    assert siege.world.bot.errors(logged) == []
    assert siege.state("tasks", "notifications") == before


def drive(siege: Siege, operation: Any, session: requests.Session, answers: Counter[str], **options: Any) -> None:
    """Send what schemathesis makes of one operation, and hold the answers against the description."""

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.explicit, Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(**options))
    def ask(case: Any) -> None:
        response = case.call(base_url=siege.world.url, session=session, timeout=patient(20), allow_redirects=False)
        answers[f"{operation.method.upper()} {response.status_code}"] += 1
        case.validate_response(response, checks=CHECKS)

    ask()


async def test_every_status_that_it_names_is_given(siege: Siege, described: Any, song_url: str) -> None:
    """Provoke each answer that stands in the description, and hold it against the schema."""
    seen: Counter[tuple[str, int]] = Counter()
    base = siege.world.url
    callback, song = base + siege.path, song_url
    media, unknown = song.rpartition("/")[0], "0" * 24
    [row] = siege.world.rows("SELECT id, media_key FROM tasks WHERE id = ?", song.split("/")[4])
    running = {"data": {"task_id": siege.task.id, "status": "running"}}
    asked: list[tuple[str, str, str, dict[str, Any]]] = [
        (CALLBACK, "POST", callback, {"json": running}),
        (CALLBACK, "POST", callback, {"json": []}),
        (CALLBACK, "POST", f"{base}/callbacks/vidgo/{unknown}/x", {"json": running}),
        (CALLBACK, "POST", f"{base}/callbacks/vidgo//x", {"json": running}),
        (CALLBACK, "PUT", callback, {"json": running}),
        (CALLBACK, "POST", callback, {"data": b"x" * 300_000}),
        (CALLBACK, "POST", callback, {"json": running, "headers": {"Expect": "wonders"}}),
        (MEDIA, "GET", song, {}),
        (MEDIA, "GET", song, {"headers": {"Range": "bytes=0-99"}}),
        (MEDIA, "GET", song, {"headers": {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}}),
        (MEDIA, "GET", song, {"headers": {"X-Long": "y" * 5000}}),
        (MEDIA, "GET", f"{media}x/song.mp3", {}),
        (MEDIA, "GET", signed(siege, row, 7), {}),
        (MEDIA, "DELETE", song, {}),
        (MEDIA, "GET", song, {"headers": {"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}}),
        (MEDIA, "GET", song, {"headers": {"Range": "bytes=99999999-"}}),
        (MEDIA, "GET", song, {"headers": {"Expect": "wonders"}}),
        *(
            (path, method, base + path, {"headers": headers})
            for path in ("/healthz", "/readyz", "/metrics")
            for method, headers in (("GET", {}), ("PUT", {}), ("GET", {"Expect": "x"}), ("GET", {"X": "y" * 5000}))
        ),
    ]
    slow = asyncio.to_thread(
        ask_one, described, seen, CALLBACK, "POST", callback, {"data": endless_body(), "timeout": patient(40)}
    )
    trickling = asyncio.create_task(slow)
    await asyncio.gather(*(asyncio.to_thread(ask_one, described, seen, *one) for one in asked))
    with ExitStack() as stack:
        for _ in range(DOWNLOADS):
            deaf_download(stack, siege.port, song.removeprefix(base))
        await eventually(lambda: len(list(siege.world.bot.directory.glob("*posting/*/audio0"))) == DOWNLOADS)
        await asyncio.to_thread(ask_one, described, seen, MEDIA, "GET", song, {"timeout": patient(TURN_SECONDS)})
    siege.world.discord.refuse_gateway()
    siege.world.discord.drop_gateway()

    async def unready() -> bool:
        return (await siege.world.get("/readyz"))[0] == 503

    await eventually(unready)
    await asyncio.to_thread(ask_one, described, seen, "/readyz", "GET", base + "/readyz", {})
    siege.world.discord.refuse_gateway(False)
    await trickling
    named = {
        (path, int(status))
        for path, methods in json.loads(DESCRIPTION.read_text())["paths"].items()
        for operation in methods.values()
        for status in operation["responses"]
    }
    # A download may take a quarter of an hour, which no test waits for; only a store is redirected to; and a database
    # that is away is a matter of tests of its own.
    assert set(seen) == named - {(MEDIA, 408), (MEDIA, 302), (CALLBACK, 503), (MEDIA, 503)}
    # Those who did not read gave their turns back: songs can be fetched again.
    await asyncio.to_thread(ask_one, described, seen, MEDIA, "GET", song, {})
    assert seen[MEDIA, 200] == 2


def ask_one(described: Any, seen: Counter[tuple[str, int]], path: str, method: str, url: str, options: Any) -> None:
    """Send a request, and hold the answer against what the description says of it."""
    response = requests.request(method, url, **{"timeout": patient(20), "allow_redirects": False, **options})
    [operation] = described[path].values()
    operation.validate_response(response)
    assert str(response.status_code) in operation.definition.raw["responses"]
    seen[path, response.status_code] += 1


def endless_body() -> Any:
    """Yield a body that trickles on until nobody wants it any more."""
    started = time.monotonic()
    while time.monotonic() - started < patient(30):
        yield b" "
        time.sleep(0.5)


def deaf_download(stack: ExitStack, port: int, path: str) -> None:
    """Start a download and read nothing of it until the stack ends."""
    deaf = stack.enter_context(socket.socket())
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", port))
    deaf.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
