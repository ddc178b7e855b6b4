"""What the VidGo client says and understands, against a scripted server."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import traceback
import zlib
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.vidgo import (
    AnswerLost,
    Busy,
    Duplicate,
    InvalidRequest,
    KeyRefused,
    NoCredits,
    Nonsense,
    SourceNotReady,
    Status,
    UnknownTask,
    VidGo,
    VidGoError,
)
from bot.vidgo.bodies import unpacked
from bot.vidgo.client import MAX_BODY
from tests.vidgo.service import (
    ACCEPTED,
    CALLBACK,
    COVER,
    KEY,
    SONG,
    TOKEN,
    Service,
    bare_server,
    submit,
)


async def test_a_cover_is_submitted_as_documented(vidgo: VidGo, service: Service) -> None:
    assert await submit(vidgo, COVER, CALLBACK) == "COV0000000000001"
    method, path, headers, body = service.seen[0]
    assert (method, path) == ("POST", "/api/generate/submit")
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/json"
    assert body == {
        "model": "generate-music-cover",
        "callback_url": CALLBACK,
        "input": {"task_id": "SRC0000000000001"},
    }


async def test_without_a_callback_only_a_model_that_insists_gets_a_url_and_a_dead_one(
    vidgo: VidGo, service: Service
) -> None:
    await submit(vidgo, SONG, None)
    await submit(vidgo, COVER, None)
    assert "callback_url" not in service.seen[0][3]
    assert service.seen[1][3]["callback_url"].endswith(".invalid/")


@pytest.mark.parametrize(
    "body",
    [
        ACCEPTED,
        {"code": 0, "data": {"task_id": "COV0000000000001"}},
        {"code": "200", "data": {"taskId": "COV0000000000001"}},
        {"data": {"task_id": "COV0000000000001"}},
        {"task_id": "COV0000000000001", "status": "submitted"},
        json.dumps(ACCEPTED),
        {**ACCEPTED, "error": None, "progress": "0%", "message": "success"},
    ],
)
async def test_every_form_of_success_is_accepted(vidgo: VidGo, service: Service, body: object) -> None:
    service.say(body)
    assert await submit(vidgo, COVER, CALLBACK) == "COV0000000000001"


async def test_a_base_url_may_have_a_path(service: Service, session: aiohttp.ClientSession) -> None:
    await submit(VidGo(session, service.url + "gateway/", KEY), COVER, CALLBACK)
    assert service.seen[0][1] == "/gateway/api/generate/submit"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, {"code": 401, "error": {"message": "key not valid", "type": "authentication_error"}}, KeyRefused),
        (200, {"code": 402, "error": {"message": "credits too low"}}, NoCredits),
        (409, {"code": 409, "error": {"message": "a cover exists for this task"}}, Duplicate),
        (400, {"code": 400, "error": {"message": "source task is not finished"}}, SourceNotReady),
        (404, {"code": 404, "error": {"message": "Parent task not found"}}, UnknownTask),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, InvalidRequest),
        (200, {"code": 503, "error": {"message": "busy", "type": "service_error"}}, Busy),
        (500, {"code": 500, "error": {"message": "oops"}}, AnswerLost),
        (502, b"<html>bad gateway</html>", AnswerLost),
        (200, b"<html>welcome</html>", AnswerLost),
        (200, b"", AnswerLost),
        (200, b"[" * 200_000, AnswerLost),
        (200, b'{"code": ' + b"9" * 5000 + b"}", AnswerLost),
        (200, b"\xff\xfe\xfd", AnswerLost),
        (200, b'"' + b"x" * (1024 * 1024) + b'"', AnswerLost),
        (404, b"<html>not here</html>", Busy),
    ],
)
async def test_refusals_are_typed_and_nothing_is_repeated(
    vidgo: VidGo, service: Service, status: int, body: object, expected: type[VidGoError]
) -> None:
    service.say(body, status)
    with pytest.raises(VidGoError) as caught:
        await submit(vidgo, COVER, CALLBACK)
    assert type(caught.value) is expected
    assert len(service.seen) == 1


async def test_a_duplicate_names_the_earlier_cover_but_never_the_source(vidgo: VidGo, service: Service) -> None:
    refusal = {"code": 400, "error": {"message": "cover already generated"}}
    service.say({**refusal, "data": {"task_id": "COV0000000000001"}}, 400)
    with pytest.raises(Duplicate) as caught:
        await submit(vidgo, COVER, CALLBACK)
    assert caught.value.task_id == "COV0000000000001"

    service.say({**refusal, "data": {"task_id": COVER.task_id}}, 400)
    with pytest.raises(Duplicate) as caught:
        await submit(vidgo, COVER, CALLBACK)
    assert caught.value.task_id is None


async def test_detail_reads_the_music_path(vidgo: VidGo, service: Service) -> None:
    url = "https://cdn.example.net/c/one.png"
    service.say(
        {"code": 200, "data": {"task_id": "COV1", "status": "finished", "progress": 0,
         "files": [{"generate_cover": json.dumps([{"file_url": url, "file_type": "image"}])}]}}
    )  # fmt: skip
    report = await vidgo.detail("COV1 ")
    assert service.seen[0][:2] == ("GET", "/api/generate/detail/music?task_id=COV1")
    assert (report.status, report.files[0].image_urls, report.error_message) == (Status.FINISHED, (url,), None)


async def test_detail_accepts_an_answer_that_does_not_repeat_the_id(vidgo: VidGo, service: Service) -> None:
    service.say({"code": 0, "data": {"status": "running", "files": None}})
    report = await vidgo.detail("COV1")
    assert (report.task_id, report.status) == ("COV1", Status.RUNNING)


async def test_a_key_at_the_cut_of_a_long_error_message_is_not_shown_in_part(vidgo: VidGo, service: Service) -> None:
    words = "x" * 290 + KEY
    service.say({"code": 200, "data": {"task_id": "COV1", "status": "failed", "error_message": words}})
    message = (await vidgo.detail("COV1")).error_message
    assert message is not None
    assert KEY[:4] not in message


async def test_an_unknown_status_is_logged_and_no_error(
    vidgo: VidGo, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.say({"code": 200, "data": {"task_id": "COV1", "status": f"simmering {KEY}"}})
    with caplog.at_level(logging.DEBUG):
        assert (await vidgo.detail("COV1")).status is Status.UNKNOWN
    assert "simmering [hidden]" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("code", [200, 500, 501, 531])
async def test_a_failed_task_is_failed_whatever_the_code(vidgo: VidGo, service: Service, code: int) -> None:
    service.say({"code": code, "data": {"task_id": "COV1", "status": "failed", "error_message": f"no\nart {KEY}"}})
    report = await vidgo.detail("COV1")
    assert (report.status, report.error_message) == (Status.FAILED, "no art [hidden]")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"code": 501, "msg": f"no voice {KEY}"}, "no voice [hidden]"),
        ({"code": 200, "error": {"message": "no voice"}}, "no voice"),
        ({"code": 200, "message": "success"}, None),  # of the read, not of the task
        ({"code": 501}, None),
    ],
)
async def test_a_failed_task_may_have_its_reason_where_errors_have_it(
    vidgo: VidGo, service: Service, body: dict[str, Any], reason: str | None
) -> None:
    service.say({**body, "data": {"task_id": "COV1", "status": "failed", "error_message": None}})
    assert (await vidgo.detail("COV1")).error_message == reason


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, {"code": 404, "error": {"message": "no"}}, UnknownTask),
        (400, {"code": 400, "error": {"message": "use the other endpoint"}}, UnknownTask),
        (404, b"<html>", Nonsense),
        (200, {"hello": 1}, Nonsense),
        (200, {"code": 500, "data": {"task_id": "COV1", "status": "running"}}, AnswerLost),
        (503, {"code": 503, "error": "busy"}, Busy),
        (200, b"<html>", AnswerLost),
    ],
)
async def test_a_read_that_gives_no_report_is_typed(
    vidgo: VidGo, service: Service, status: int, body: object, expected: type[VidGoError]
) -> None:
    service.say(body, status)
    with pytest.raises(VidGoError) as caught:
        await vidgo.detail("COV1")
    assert type(caught.value) is expected


@pytest.mark.parametrize("task_id", ["", "  ", "two words", "x" * 300])
async def test_what_cannot_be_a_task_id_is_not_asked_about(vidgo: VidGo, service: Service, task_id: str) -> None:
    with pytest.raises(UnknownTask):
        await vidgo.detail(task_id)
    assert service.seen == []


async def test_a_hostile_task_id_stays_inside_its_parameter(vidgo: VidGo, service: Service) -> None:
    service.say({"code": 200, "data": {"status": "running"}})
    await vidgo.detail("A&task_id=B#c/../\ud800%20+")
    assert service.seen[0][1].startswith("/api/generate/detail/music?task_id=A%26task_id%3DB%23c/../")


@pytest.mark.parametrize(
    ("said", "costs"),
    [({}, None), ({"credits_amount": 20}, 20.0), ({"credits_amount": "1.5"}, 1.5), ({"credits_amount": -1}, None)],
)
async def test_an_order_may_name_its_price(
    vidgo: VidGo, service: Service, said: dict[str, object], costs: float | None
) -> None:
    service.say({"code": 200, "data": {"task_id": "AAAA", "status": "not_started", **said}})
    accepted = await vidgo.submit(COVER, None, await vidgo.turn())
    assert (accepted.task_id, accepted.credits) == ("AAAA", costs)


@pytest.mark.parametrize(
    ("body", "credits_left"),
    [
        ({"code": 200, "data": {"email": "me@example.com", "credits_amount": 480}}, 480.0),
        ({"code": 0, "data": {"credits_amount": "12.5"}}, 12.5),
        ({"credits_amount": 0}, 0.0),
    ],
)
async def test_balance(vidgo: VidGo, service: Service, body: object, credits_left: float) -> None:
    service.say(body)
    assert await vidgo.balance() == credits_left
    assert service.seen[0][:2] == ("GET", "/api/user/balance")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"code": 200, "data": {"credits_amount": "many"}}, Nonsense),
        ({"code": 200, "data": None}, Nonsense),
        ([], Nonsense),
        ({"code": 401, "error": "no"}, KeyRefused),
    ],
)
async def test_a_balance_without_a_number_is_an_error(
    vidgo: VidGo, service: Service, body: object, expected: type[VidGoError]
) -> None:
    service.say(body)
    with pytest.raises(expected):
        await vidgo.balance()


async def test_a_redirect_is_not_followed(vidgo: VidGo, service: Service) -> None:
    service.say({}, 307, Location=service.url + "elsewhere")
    with pytest.raises(Busy, match="redirect"):
        await submit(vidgo, COVER, CALLBACK)
    assert [path for _, path, _, _ in service.seen] == ["/api/generate/submit"]


async def test_a_session_that_raises_for_status_changes_nothing(service: Service) -> None:
    service.say({"code": 402, "error": "empty"}, 402)
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        with pytest.raises(NoCredits):
            await VidGo(session, service.url, KEY).balance()


async def test_a_compressed_bomb_is_not_unpacked(vidgo: VidGo, service: Service) -> None:
    service.say(gzip.compress(b" " * 50_000_000, mtime=0), Content_Encoding="gzip")
    with pytest.raises(AnswerLost, match="unreadable"):
        await submit(vidgo, COVER, CALLBACK)


SONG_OF_CAFES: dict[str, Any] = {
    "code": 200,
    "data": {
        "task_id": "COV0000000000001",
        "status": "finished",
        "files": [{"audio_url": "https://cdn.example.net/a.mp3", "title": "Café"}],
    },
}
READABLE = json.dumps(SONG_OF_CAFES, ensure_ascii=False)


@pytest.mark.parametrize(
    ("body", "headers", "title"),
    [
        (gzip.compress(READABLE.encode(), mtime=0), {"Content-Encoding": "gzip"}, "Café"),
        (gzip.compress(READABLE.encode(), mtime=0), {}, "Café"),
        (gzip.compress(gzip.compress(READABLE.encode(), mtime=0), mtime=0), {"Content-Encoding": "gzip"}, "Café"),
        (
            gzip.compress(READABLE.encode()[:50], mtime=0) + gzip.compress(READABLE.encode()[50:], mtime=0) + bytes(9),
            {},
            "Café",
        ),
        (zlib.compress(READABLE.encode()), {"Content-Encoding": "deflate"}, "Café"),
        (zlib.compress(READABLE.encode())[2:-4], {"Content-Encoding": "deflate"}, "Café"),
        *((READABLE.encode(), {"Content-Encoding": name}, "Café") for name in ("gzip", "deflate", "br", "zstd", "no")),
        (READABLE.encode("utf-8-sig"), {}, "Café"),
        (READABLE.encode("utf-16"), {}, "Café"),
        (READABLE.encode("latin-1"), {"charset": "iso-8859-1"}, "Café"),
        (READABLE.encode("latin-1"), {"charset": "no-such-thing"}, "Caf\ufffd"),
        (READABLE.encode("latin-1"), {"charset": "undefined"}, "Caf\ufffd"),
        (READABLE.encode("latin-1"), {}, "Caf\ufffd"),
        (READABLE.encode().replace(b"\xa9", b""), {}, "Caf\ufffd"),
        (READABLE.encode()[:-1] + b', "spent": ' + b"9" * 5000 + b"}", {}, "Café"),
        (json.dumps({"code": 200, "data": SONG_OF_CAFES}).encode(), {}, "Café"),
        (json.dumps({"code": 200, "data": {"data": SONG_OF_CAFES["data"]}}).encode(), {}, "Café"),
    ],
)
async def test_an_answer_is_read_however_it_is_packed(
    vidgo: VidGo, service: Service, body: bytes, headers: dict[str, str], title: str
) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(
            body=body,
            headers={name: value for name, value in headers.items() if name != "charset"},
            content_type="application/json",
            charset=headers.get("charset"),
        )

    service.handler = handler
    assert await submit(vidgo, SONG, None) == "COV0000000000001"
    report = await vidgo.detail("COV0000000000001")
    assert report.status is Status.FINISHED
    assert [file.title for file in report.files] == [title]
    assert service.seen[0][2]["Accept-Encoding"] == "gzip, deflate"


def test_a_text_that_only_says_that_it_is_packed_is_read_though_it_could_be_the_beginning_of_that() -> None:
    text = b'{"code":200}'
    assert zlib.decompressobj(-zlib.MAX_WBITS).decompress(text)
    assert unpacked(text, "deflate", MAX_BODY) == text


@pytest.mark.parametrize(
    "body", [gzip.compress(READABLE.encode(), mtime=0)[:-9], b"\x1f\x8b\x08nothing that is packed"]
)
async def test_a_packed_answer_that_is_cut_off_or_broken_is_no_answer(
    vidgo: VidGo, service: Service, body: bytes
) -> None:
    service.say(body, Content_Encoding="gzip")
    with pytest.raises(AnswerLost, match="unreadable"):
        await submit(vidgo, COVER, CALLBACK)


@pytest.mark.parametrize("status", [200, 400, 401, 409, 429, 500])
async def test_no_error_holds_the_key_or_the_callback_token(
    vidgo: VidGo, service: Service, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    service.say({"code": status, "error": f"Bearer {KEY} may not use {CALLBACK} or ?t={TOKEN}"}, status)
    with caplog.at_level(logging.DEBUG), pytest.raises(VidGoError) as caught:
        await submit(vidgo, COVER, CALLBACK)
    assert "[hidden]" in caught.value.reason
    shown = f"{caught.value!r} {caught.value} {caught.value.__dict__} {vidgo!r} {caplog.text}"
    shown += "".join(traceback.format_exception(caught.value))
    assert KEY not in shown
    assert TOKEN not in shown


async def test_a_broken_answer_drags_no_request_headers_along(session: aiohttp.ClientSession) -> None:
    async def garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"no HTTP at all\r\n\r\n")
        await writer.drain()

    async with bare_server(garbage) as url:
        with pytest.raises(AnswerLost) as caught:
            await submit(VidGo(session, url, KEY), COVER, CALLBACK)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("base_url", "key"),
    [
        ("ftp://api.example", KEY), ("api.example", KEY), ("http://", KEY), ("http://user:pass@api.example", KEY),
        ("https://api.example", ""), ("https://api.example", f"{KEY}\r\nX-Evil: 1"), ("https://api.example", "clé"),
    ],
)  # fmt: skip
async def test_an_address_or_key_that_cannot_work_is_refused_at_once(
    session: aiohttp.ClientSession, base_url: str, key: str
) -> None:
    with pytest.raises(ValueError, match="the API") as caught:
        VidGo(session, base_url, key)
    assert KEY not in str(caught.value)


async def test_cancelling_a_request_is_not_an_answer(service: Service, vidgo: VidGo) -> None:
    asked, never = asyncio.Event(), asyncio.Event()

    async def handler(_request: web.Request) -> web.StreamResponse:
        asked.set()
        await never.wait()
        return web.Response()

    service.handler = handler
    task = asyncio.create_task(submit(vidgo, COVER, CALLBACK))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    never.set()
