"""The stand-in speaks the documented API: envelopes, rules, results, refusals and credits."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from sandbox.vidgo.results import SHAPES

if TYPE_CHECKING:
    pass

from tests.sandbox.vidgo_client import ALL_AUDIO_FIELDS, GENERATE, HOOK, started


async def test_a_submission_is_answered_as_documented_and_runs_to_its_end() -> None:
    async with started() as client:
        client.vidgo.hold("generate-music")
        code, body = await client.submit("generate-music", GENERATE)
        assert code == 200
        assert body["code"] == 200
        assert set(body["data"]) == {"task_id", "status", "created_time"}
        assert body["data"]["status"] == "not_started"
        assert re.fullmatch(r"[A-Z0-9]{16}", body["data"]["task_id"])
        assert datetime.fromisoformat(body["data"]["created_time"]).tzinfo is None
        task = await client.vidgo.wait_task(body["data"]["task_id"], "running")
        assert await client.detail(task.id) == {
            "task_id": task.id,
            "status": "running",
            "files": [],
            "created_time": body["data"]["created_time"],
            "error_message": None,
        }
        client.vidgo.release("generate-music")
        await client.vidgo.wait_task(task.id, "finished")
        data = await client.detail(task.id)
        assert data["status"] == "finished"
        first, second = data["files"]
        assert set(first) == ALL_AUDIO_FIELDS
        assert first["audio_id"] != second["audio_id"]
        assert (first["title"], first["tags"], first["duration"]) == ("Harbour Lights", "folk", 0.5)
        assert first["audio_url"].endswith(".mp3")
        assert first["image_url"].endswith(".jpeg")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"custom_mode": None}, "custom_mode"),
        ({"instrumental": "no"}, "instrumental"),
        ({"mv": "V9"}, "mv"),
        ({"mv": "V5_5"}, "mv"),
        ({"style": ""}, "style"),
        ({"title": None}, "title"),
        ({"prompt": ""}, "prompt"),
        ({"audio_id": "x"}, "audio_id"),
        ({"title": "x" * 81}, "title"),
        ({"mv": "V4", "style": "x" * 201}, "style"),
        ({"prompt": "x" * 5001}, "prompt"),
        ({"style_weight": 1.1}, "style_weight"),
        ({"audio_weight": 0.123}, "audio_weight"),
        ({"vocal_gender": "x"}, "vocal_gender"),
        ({"custom_mode": False}, "style"),
        ({"custom_mode": False, "style": "", "title": "", "prompt": "x" * 501}, "prompt"),
        ({"custom_mode": False, "style": "", "title": "", "instrumental": True}, "instrumental"),
    ],
)
async def test_wrong_input_of_a_song_is_refused(change: dict[str, Any], field: str) -> None:
    async with started() as client:
        code, body = await client.submit("generate-music", {**GENERATE, **change})
        assert code == 400
        assert body["code"] == 400
        assert set(body["error"]) == {"message", "type"}
        assert field in body["error"]["message"]
        assert body["error"]["type"] in {"validation_error", "content_too_long_error"}
        assert not client.vidgo.tasks
        assert [(one.accepted, one.status) for one in client.vidgo.submissions] == [(False, 400)]


@pytest.mark.parametrize(
    "change",
    [
        {"instrumental": True, "prompt": ""},
        {"style_weight": 0.65, "weirdness_constraint": 0, "audio_weight": 1, "negative_tags": "metal"},
        {"vocal_gender": "f", "persona_id": "p"},
        {"title": "x" * 80, "prompt": "x" * 5000, "style": "x" * 1000},
    ],
)
async def test_right_input_of_a_song_is_taken(change: dict[str, Any]) -> None:
    async with started() as client:
        code, _ = await client.submit("generate-music", {**GENERATE, **change}, callback_url=None)
        assert code == 200


async def test_simple_mode_takes_a_prompt_alone() -> None:
    async with started() as client:
        data = {"custom_mode": False, "instrumental": False, "mv": "V5", "prompt": "a song about rain"}
        assert (await client.made("generate-music", data))["files"][0]["tags"] == "a song about rain"


async def test_unknown_models_fields_and_bodies_are_refused() -> None:
    async with started() as client:
        assert (await client.submit("generate-opera", {}))[0] == 404
        assert (await client.submit("generate-music", GENERATE, extra=1))[0] == 400
        assert (await client.submit("generate-music", [1]))[0] == 400
        assert (await client.submit("generate-music", GENERATE, callback_url="nowhere"))[0] == 400
        assert (await client.submit("generate-music", GENERATE, callback_url="https://a.invalid/" + "x" * 2048))[
            0
        ] == 400
        url, headers = client.vidgo.api_url + "/api/generate/submit", {"Authorization": "Bearer test-key"}
        async with client.session.post(url, data=b"{", headers=headers) as answer:
            assert answer.status == 400
        assert (await client.get("/api/nothing"))[0] == 404
        assert not client.vidgo.accepted()


async def test_the_key_is_checked_and_can_be_revoked() -> None:
    async with started() as client:
        code, body = await client.get("/api/user/balance", key="wrong")
        assert code == 401
        assert body["error"]["type"] == "authentication_error"
        assert (await client.get("/api/user/balance"))[0] == 200
        client.vidgo.revoke_key()
        assert (await client.get("/api/user/balance"))[0] == 401
        assert (await client.submit("generate-music", GENERATE))[0] == 401


async def test_the_status_endpoint_sends_music_tasks_elsewhere_and_unknown_ones_away() -> None:
    async with started() as client:
        song = client.vidgo.add_song("One")
        code, body = await client.get(f"/api/generate/status/{song.id}")
        assert code == 400
        assert "/api/generate/detail/music" in body["error"]["message"]
        for path in ("/api/generate/status/NOBODY", "/api/generate/detail/music?task_id=NOBODY"):
            code, body = await client.get(path)
            assert (code, body["error"]["type"]) == (404, "resource_not_found_error")
        assert (await client.get("/api/generate/detail/music"))[0] == 400
        client.vidgo.detail_unknown_for = 60
        assert (await client.get(f"/api/generate/detail/music?task_id={song.id}"))[0] == 404


async def test_credits_are_charged_when_finished_and_only_then() -> None:
    async with started(credits=41) as client:
        await client.made("generate-music", GENERATE)
        assert (await client.get("/api/user/balance"))[1] == {
            "code": 200,
            "data": {"email": "me@example.com", "credits_amount": 21},
        }
        client.vidgo.set_failure("generate-music", "policy", times=1)
        failed = await client.made("generate-music", GENERATE, "failed")
        assert (failed["status"], failed["files"], failed["error_message"]) == ("failed", [], "policy")
        assert client.vidgo.credits == 21
        client.vidgo.hold("generate-music")
        assert (await client.submit("generate-music", GENERATE))[0] == 200
        code, body = await client.submit("generate-music", GENERATE)  # the one under way has its credits set aside
        assert (code, body["error"]["type"]) == (402, "insufficient_credits_error")
        assert [price for _, price in client.vidgo.charged] == [20]


@pytest.mark.parametrize("shape", sorted(SHAPES.keys() - {"lyrics", "wav"}))
async def test_every_shape_of_a_cover(shape: str) -> None:
    async with started() as client:
        song = client.vidgo.add_song("Harbour Lights", tags="folk", seconds=0.5)
        client.vidgo.set_result("generate-music-cover", shape)
        data = await client.made("generate-music-cover", {"task_id": song.id})
        base = f"{client.vidgo.api_url}/files/{data['task_id']}"
        one, two = f"{base}/cover-1.png", f"{base}/cover-2.png"
        objects = [{"file_url": url, "file_type": "image"} for url in (one, two)]
        expected: dict[str, Any] = {
            "generate_cover": [{"generate_cover": json.dumps(objects)}],
            "generate_cover_double": [{"generate_cover": json.dumps(json.dumps(objects))}],
            "generate_cover_list": [{"generate_cover": objects}],
            "generate_cover_object": [{"generate_cover": objects[0]}],
            "generate_cover_urls": [{"generate_cover": json.dumps([one, two])}],
            "generate_cover_url": [{"generate_cover": one}],
            "generate_cover_empty": [{"generate_cover": "[]"}],
            "image_url": [{"image_url": one}],
            "image_url_list": [{"image_url": [one, "", two, one]}],
            "images": [{"images": [one, two]}],
            "no_files": [],
            "null_files": None,
        }
        if shape in expected:
            assert data["files"] == expected[shape]
        elif shape == "missing_files":
            assert "files" not in data
        elif shape == "generate_cover_broken":
            with pytest.raises(json.JSONDecodeError):
                json.loads(data["files"][0]["generate_cover"])
        else:
            missing = {"audio_no_id": {"audio_id"}, "audio_no_image": {"image_url"}}.get(shape, set())
            assert len(data["files"]) == (1 if shape == "audio_one" else 2)
            assert set(data["files"][0]) == ALL_AUDIO_FIELDS - missing
        assert client.vidgo.charged == [(data["task_id"], 1)]


async def test_an_unknown_shape_is_a_mistake_of_the_test() -> None:
    async with started() as client:
        with pytest.raises(ValueError, match="no such result"):
            client.vidgo.set_result("generate-music-cover", "hologram")


async def test_statuses_codes_and_noise_come_in_other_words() -> None:
    async with started() as client:
        song = client.vidgo.add_song("One")
        client.vidgo.status_words = {"finished": "SUCCESS"}
        client.vidgo.success_code = 0
        assert (await client.get(f"/api/generate/detail/music?task_id={song.id}"))[1]["code"] == 0
        assert (await client.detail(song.id))["status"] == "SUCCESS"
        client.vidgo.success_code = None
        assert "code" not in (await client.get("/api/user/balance"))[1]
        client.vidgo.noise = True
        answers = [await client.detail(song.id) for _ in range(20)]
        assert {"progress" in answer for answer in answers} == {True, False}
        assert {"credits_amount" in answer for answer in answers} == {True, False}


@pytest.mark.parametrize(
    ("style", "code", "has_id"),
    [
        ("409", 409, None),
        ("409_id", 409, "known"),
        ("409_error_id", 409, "error"),
        ("400_text", 400, None),
        ("400_id", 400, "known"),
        ("400_upstream_id", 400, "unknown"),
    ],
)
@pytest.mark.parametrize("under_way", [False, True])
@pytest.mark.parametrize("lost", [False, True])
async def test_a_second_cover_is_refused(
    style: Any, code: int, has_id: str | None, under_way: bool, lost: bool
) -> None:
    async with started() as client:
        song = client.vidgo.add_song("One")
        client.vidgo.duplicate_style = style
        if under_way:
            client.vidgo.hold("generate-music-cover")
        if lost:
            client.vidgo.fault("submit", "lose_answer_after")
            with pytest.raises(aiohttp.ClientConnectionError):
                await client.submit("generate-music-cover", {"task_id": song.id})
        else:
            assert (await client.submit("generate-music-cover", {"task_id": song.id}))[0] == 200
        [submission] = client.vidgo.accepted()
        first = {"task_id": submission.task_id}
        if not under_way:
            await client.vidgo.wait_task(str(submission.task_id), "finished")
        status, body = await client.submit("generate-music-cover", {"task_id": song.id})
        assert status == body["code"] == code
        assert re.search("exists|already", body["error"]["message"])
        assert body["error"].get("task_id") == (first["task_id"] if has_id == "error" else None)
        other = body.get("data", {}).get("task_id")
        if has_id == "known":
            assert other == first["task_id"]
        elif has_id == "unknown":
            assert (await client.get(f"/api/generate/detail/music?task_id={other}"))[0] == 404
        else:
            assert other is None
        assert client.vidgo.accepted() == [submission]
        if under_way:
            client.vidgo.release()
        await client.vidgo.wait_task(str(submission.task_id), "finished")
        assert client.vidgo.charged == [(submission.task_id, 1)]


async def test_a_failed_cover_may_be_repeated_but_one_under_way_may_not() -> None:
    async with started() as client:
        song = client.vidgo.add_song("One")
        client.vidgo.set_result("generate-music-cover", "failed", error_message="no luck", times=1)
        failed = await client.made("generate-music-cover", {"task_id": song.id}, "failed")
        assert failed["error_message"] == "no luck"
        client.vidgo.hold("generate-music-cover")
        assert (await client.submit("generate-music-cover", {"task_id": song.id}))[0] == 200
        assert (await client.submit("generate-music-cover", {"task_id": song.id}))[0] == 409


async def test_a_cover_needs_a_finished_song_and_a_callback() -> None:
    async with started() as client:
        running = client.vidgo.add_song("One", status="running")
        failed = client.vidgo.add_song("Two", status="failed")
        lyrics = await client.made("generate-lyrics", {"prompt": "rain"})
        for source, code in ((running.id, 400), (failed.id, 400), (lyrics["task_id"], 400), ("NOBODY", 404)):
            assert (await client.submit("generate-music-cover", {"task_id": source}))[0] == code
        song = client.vidgo.add_song("Three")
        refused = {"task_id": song.id, "audio_id": song.variants[0].audio_id}
        assert (await client.submit("generate-music-cover", refused))[0] == 400
        code, body = await client.submit("generate-music-cover", {"task_id": song.id}, callback_url=None)
        assert code == 400
        assert "callback_url" in body["error"]["message"]
        client.vidgo.finish(running)
        assert (await client.submit("generate-music-cover", {"task_id": running.id}))[0] == 200


async def test_requests_submissions_and_hooks_are_recorded() -> None:
    async with started() as client:
        seen: list[tuple[str, str, str, int]] = []
        vidgo = client.vidgo
        stop = vidgo.on_request(lambda phase, method, path: seen.append((phase, method, path, len(vidgo.tasks))))
        await client.submit("generate-music", GENERATE)
        path = "/api/generate/submit"
        assert seen == [("before", "POST", path, 0), ("after", "POST", path, 1)]
        stop()
        await client.get("/api/user/balance")
        assert len(seen) == 2
        assert [(one.method, one.path, one.status) for one in vidgo.requests] == [
            ("POST", path, 200),
            ("GET", "/api/user/balance", 200),
        ]
        (submission,) = vidgo.accepted("generate-music")
        assert submission is await vidgo.wait_submission(lambda one: one.model == "generate-music")
        assert (submission.input, submission.callback_url, submission.status) == (GENERATE, HOOK, 200)
        assert submission.task_id in vidgo.tasks
        with pytest.raises(TimeoutError):
            await vidgo.wait_submission(after=1, timeout=0.01)


async def test_many_tasks_at_once_finish_and_are_charged_once_each() -> None:
    async with started(credits=2000) as client:
        answers = await asyncio.gather(*(client.submit("generate-music", GENERATE) for _ in range(100)))
        ids = {body["data"]["task_id"] for _, body in answers}
        await asyncio.gather(*(client.vidgo.wait_task(task_id, "finished") for task_id in ids))
        assert len(ids) == len({task_id for task_id, _ in client.vidgo.charged}) == 100
        assert client.vidgo.credits == 0
