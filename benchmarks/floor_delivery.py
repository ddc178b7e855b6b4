"""The least that posts a result as the bot promises to: bare discord.py, aiohttp and sqlite3, as plain as they go.

A callback is noted durably before it is answered, and believed in nothing: the result is read from VidGo with the
program's own key while the files that the callback names are fetched, which count only where the result names the
same. The result is stored, that it is about to be posted is noted before it is, with a nonce, and that it was is noted
durably after. It tries nothing twice, looks after nothing that goes wrong, and holds files in memory. The address of
the callback says which message to reply to. Says "ready" on stdout once it listens.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import sqlite3
from typing import Any

import aiohttp
import discord
from aiohttp import web

AUDIO, PICTURE = "song.mp3", "cover.jpg"


class Floor:
    """What the program holds."""

    def __init__(self, client: discord.Client, session: aiohttp.ClientSession) -> None:
        self._client = client
        self._session = session
        path = os.environ["DATABASE"]
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute("PRAGMA data_version")  # opens its log
        self._log = os.open(f"{path}-wal", os.O_RDONLY)
        self._posts: set[asyncio.Task[None]] = set()

    async def take(self, request: web.Request) -> web.Response:
        """Take a callback."""
        data = (await request.json())["data"]
        place = int(request.match_info["channel"]), int(request.match_info["message"])
        self._database.execute("INSERT INTO results VALUES (?, ?, ?, 'due', NULL, NULL)", (data["task_id"], *place))
        post = asyncio.create_task(self._post(data, *place))
        self._posts.add(post)
        post.add_done_callback(self._posts.discard)
        await asyncio.to_thread(os.fdatasync, self._log)
        return web.Response()

    async def _post(self, told: dict[str, Any], channel: int, message: int) -> None:
        task_id = told["task_id"]
        wanted = _wanted(told)
        result, *bodies = await asyncio.gather(self._read(task_id), *(self._fetch(url) for url in wanted.values()))
        if _wanted(result) != wanted:
            raise RuntimeError("the callback names other files")
        self._note(task_id, "finished", result=json.dumps(result))
        song = result["files"][0]
        embed = discord.Embed(title=song["title"], colour=0x5B8DEF, description="`/cover`")
        view = discord.ui.View(timeout=None)
        view.add_item(discord.ui.Button(label="Remove", custom_id=f"remove:{task_id}"))
        view.stop()
        files = [discord.File(io.BytesIO(body), name) for name, body in zip(wanted, bodies, strict=True)]
        self._note(task_id, "sending")
        sent = await self._client.get_partial_messageable(channel).send(
            f"**{song['title']}**",
            embed=embed,
            view=view,
            files=files,
            reference=discord.MessageReference(message_id=message, channel_id=channel),
            nonce=task_id[:25],
        )
        self._note(task_id, "delivered", message_id=sent.id)
        await asyncio.to_thread(os.fdatasync, self._log)

    def _note(self, task_id: str, state: str, *, result: str | None = None, message_id: int | None = None) -> None:
        self._database.execute(
            "UPDATE results SET state = ?, result = coalesce(?, result), message_id = ? WHERE id = ?",
            (state, result, message_id, task_id),
        )

    async def _read(self, task_id: str) -> dict[str, Any]:
        address = f"{os.environ['VIDGO_API_URL']}/api/generate/detail/music"
        headers = {"Authorization": f"Bearer {os.environ['VIDGO_API_KEY']}"}
        async with self._session.get(address, params={"task_id": task_id}, headers=headers) as response:
            data: dict[str, Any] = (await response.json())["data"]
            return data

    async def _fetch(self, url: str) -> bytes:
        async with self._session.get(url) as response:
            return await response.read()


def _wanted(data: dict[str, Any]) -> dict[str, str]:
    song = data["files"][0]
    return {AUDIO: song["audio_url"]} | ({PICTURE: song["image_url"]} if "image_url" in song else {})


async def main() -> None:
    """Serve until the process is ended."""
    discord.http.Route.BASE = os.environ["DISCORD_API_URL"]
    async with discord.Client(intents=discord.Intents.none()) as client, aiohttp.ClientSession() as session:
        await client.login(os.environ["DISCORD_TOKEN"])
        application = web.Application()
        application.add_routes([web.post("/{channel}/{message}", Floor(client, session).take)])
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(os.environ["LISTEN_PORT"])).start()
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
