"""A raw client of the stand-in: nothing but aiohttp."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

from sandbox.vidgo import VidGoStandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOOK = "https://callbacks.invalid/hook"
GENERATE = {
    "custom_mode": True,
    "instrumental": False,
    "mv": "V5",
    "prompt": "[Verse] hello",
    "style": "folk",
    "title": "Harbour Lights",
}
ALL_AUDIO_FIELDS = {"audio_id", "audio_url", "image_url", "title", "tags", "duration", "prompt"}


class Client:
    """A raw client: nothing but aiohttp."""

    def __init__(self, vidgo: VidGoStandIn, session: aiohttp.ClientSession) -> None:
        self.vidgo = vidgo
        self.session = session

    async def get(self, path: str, key: str = "test-key") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key}"}
        async with self.session.get(self.vidgo.api_url + path, headers=headers) as answer:
            return answer.status, await answer.json()

    async def detail(self, task_id: str) -> Any:
        status, body = await self.get(f"/api/generate/detail/music?task_id={task_id}")
        assert status == 200
        return body["data"]

    async def submit(self, model: str, data: Any, *, callback_url: str | None = HOOK, **more: Any) -> tuple[int, Any]:
        body = {"model": model, "input": data, **more}
        if callback_url is not None:
            body["callback_url"] = callback_url
        headers = {"Authorization": "Bearer test-key"}
        url = self.vidgo.api_url + "/api/generate/submit"
        async with self.session.post(url, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def made(self, model: str, data: Any, status: Any = "finished") -> Any:
        code, body = await self.submit(model, data)
        assert code == 200, body
        await self.vidgo.wait_task(body["data"]["task_id"], status, timeout=60)
        return await self.detail(body["data"]["task_id"])


@asynccontextmanager
async def started(**settings: Any) -> AsyncIterator[Client]:
    async with VidGoStandIn(**{"seconds": 0.02, "audio_seconds": 0.5, **settings}) as vidgo:
        vidgo.noise = False
        async with aiohttp.ClientSession() as session:
            yield Client(vidgo, session)
