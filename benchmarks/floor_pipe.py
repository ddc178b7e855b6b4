"""The least that posts a result: takes a callback, fetches the files that it names and posts them as a reply.

It believes whatever it is sent, remembers nothing, tries nothing twice and holds files in memory. The address of the
callback says which message to reply to. Says "ready" on stdout once it listens.
"""

from __future__ import annotations

import asyncio
import io
import os

import aiohttp
import discord
from aiohttp import web


async def main() -> None:
    """Serve until the process is ended."""
    discord.http.Route.BASE = os.environ["DISCORD_API_URL"]
    async with discord.Client(intents=discord.Intents.none()) as client, aiohttp.ClientSession() as session:
        await client.login(os.environ["DISCORD_TOKEN"])
        posts: set[asyncio.Task[None]] = set()

        async def take(request: web.Request) -> web.Response:
            body = await request.json()
            channel, message = int(request.match_info["channel"]), int(request.match_info["message"])
            post = asyncio.create_task(_post(client, session, body["data"]["files"][0], channel, message))
            posts.add(post)
            post.add_done_callback(posts.discard)
            return web.Response()

        application = web.Application()
        application.add_routes([web.post("/{channel}/{message}", take)])
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(os.environ["LISTEN_PORT"])).start()
        print("ready", flush=True)
        await asyncio.Event().wait()


async def _post(
    client: discord.Client, session: aiohttp.ClientSession, song: dict[str, str], channel: int, message: int
) -> None:
    wanted = {"song.mp3": song["audio_url"]}
    if "image_url" in song:
        wanted["cover.jpg"] = song["image_url"]
    bodies = await asyncio.gather(*(_fetch(session, url) for url in wanted.values()))
    files = [discord.File(io.BytesIO(body), name) for name, body in zip(wanted, bodies, strict=True)]
    reference = discord.MessageReference(message_id=message, channel_id=channel)
    await client.get_partial_messageable(channel).send(f"**{song['title']}**", files=files, reference=reference)


async def _fetch(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url) as response:
        return await response.read()


if __name__ == "__main__":
    asyncio.run(main())
