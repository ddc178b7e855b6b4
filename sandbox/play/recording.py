"""`make recording`: a short session on the page, kept as a static page that plays it back without a server."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from sandbox.play.books import cancelled
from sandbox.play.server import PAGE, PageServer
from sandbox.play.stage import open_stage

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

FOLDER = Path("docs/try")
SESSION = "session.json"
COVER_SECONDS = 4.0
LIMIT_SECONDS = 300.0
LONGEST_PAUSE = 4.0
READ_SECONDS = 2.5
"""How long a reader is given for a sentence."""


class Tape:
    """A visitor whose socket is written down: `frames` are what arrived, each with its second."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.frames: list[tuple[float, Json]] = []
        self.began = time.time()
        self._socket = socket
        self._arrived = asyncio.Condition()
        self._answers: list[Json] = []

    async def run(self) -> None:
        """Write down what arrives, until cancelled."""
        while True:
            frame: Json = await self._socket.receive_json()
            async with self._arrived:
                if frame["type"] == "answer":
                    self._answers.append(frame)
                else:
                    self._write(frame)
                self._arrived.notify_all()

    def cut(self) -> None:
        """Let the tape begin here, with the page as it is now."""
        latest = {frame["type"]: frame for _, frame in self.frames}
        self.began = time.time()
        self.frames = [(0.0, latest["place"]), (0.0, latest["stage"])]

    async def until(self, wanted: Callable[[Json], bool], count: int = 1) -> None:
        """Wait until so many frames are there that are wanted."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: sum(wanted(frame) for _, frame in self.frames) >= count)

    async def do(self, act: str, **wanted: Any) -> Json:
        """Do something as a visitor, and return what became of it."""
        async with self._arrived:
            number = len(self._answers)
            await self._socket.send_json({"number": number, "do": act} | wanted)
            await self._arrived.wait_for(lambda: len(self._answers) > number)
            return self._answers[number]

    async def tell(self, text: str) -> None:
        """Say what is seen, and give time to read it."""
        self._write({"type": "told", "text": text})
        await asyncio.sleep(READ_SECONDS)

    def _write(self, frame: Json) -> None:
        self.frames.append((round(time.time() - self.began, 2), frame))


def _lives(frame: Json) -> bool:
    return bool(frame["type"] == "stage" and frame["life"] == "alive")


def _posts(frame: Json) -> bool:
    return frame["type"] == "message" and bool(frame["message"]["attachments"])


async def _cover(tape: Tape, channel: str, title: str) -> None:
    """Choose a song by its title, order its cover, and wait for the acknowledgement."""
    typed: Json = {"channel": channel, "command": "cover", "option": "track", "typed": title, "options": []}
    choices = (await tape.do("type", **typed))["choices"]
    option = {"name": "track", "type": 3, "value": choices[0]["value"]}
    await tape.do("use", channel=channel, command="cover", options=[option])
    await tape.until(lambda frame: frame["type"] == "message" and f"Covering **{title}" in frame["message"]["content"])


async def _session(tape: Tape) -> None:
    await tape.until(_lives)
    tape.cut()
    channel = tape.frames[0][1]["channels"][0]["id"]
    await tape.tell("Ada types /cover and chooses Harbour Lights.")
    await _cover(tape, channel, "Harbour")
    await tape.until(_posts)
    await tape.tell("The cover is there: a reply that mentions her, with a song that plays.")
    await tape.tell("She orders another one. While VidGo works on it, the bot is killed.")
    await _cover(tape, channel, "Harvest")
    # The member reads of the order before VidGo does.
    await tape.until(lambda frame: frame["type"] == "stage" and frame["counts"]["ordered"] == 2)
    await tape.do("mischief", what="kill")
    await tape.tell("VidGo goes on. When it is ready it calls the bot back, and nobody answers.")
    await tape.until(lambda frame: frame["type"] == "happened" and frame["events"][-1]["answer"] == "nobody answers")
    await tape.tell("The bot is started again. It knows the order from its database.")
    await tape.do("mischief", what="start")
    await tape.until(_posts, 2)
    await tape.until(lambda frame: frame["type"] == "stage" and frame["counts"]["posted"] == 2)
    await tape.tell("Asked, ordered, paid and posted: two each. Nothing was lost, and nothing came twice.")


async def record(folder: Path) -> None:
    """Play the session, and write the page, what arrived at it, and the files of its messages into a folder."""
    async with asyncio.timeout(LIMIT_SECONDS), open_stage(COVER_SECONDS) as stage:
        server = PageServer(stage, 0)
        async with server.open(), aiohttp.ClientSession() as session:
            address = URL(server.address)
            stage.start()
            async with session.ws_connect(address / "socket", headers={"Origin": str(address.origin())}) as socket:
                tape = Tape(socket)
                running = asyncio.create_task(tape.run())
                try:
                    await _session(tape)
                finally:
                    await cancelled(running)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(PAGE, folder)
        for message in stage.guild.channels[0].messages:
            for file in message.files:
                path = folder / "files" / str(file.id) / file.filename
                path.parent.mkdir(parents=True)
                path.write_bytes(file.data)
    page = folder / "index.html"
    page.write_text(replaying(page.read_text("utf-8")), "utf-8")
    tape_text = json.dumps({"began": round(tape.began), "frames": _shortened(tape.frames)}, separators=(",", ":"))
    (folder / SESSION).write_text(tape_text, "utf-8")


def replaying(page: str) -> str:
    """Return the page as it plays back what lies beside it; its policy comes with it, since no server sends one."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    head = f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">'
    marked = page.replace("<html lang", f'<html data-recording="{SESSION}" lang', 1)
    return marked.replace('<meta charset="utf-8">', head, 1)


def _shortened(frames: list[tuple[float, Json]]) -> list[tuple[float, Json]]:
    """Leave out where nothing changed, for the stage is told at each event, and most of each long pause."""
    kept: list[tuple[float, Json]] = []
    last: Json = {}
    now = before = 0.0
    for at, frame in frames:
        now, before = now + min(at - before, LONGEST_PAUSE), at
        if frame["type"] != "stage" or frame != last:
            kept.append((round(now, 2), frame))
        last = frame if frame["type"] == "stage" else last
    return kept


def main() -> int:
    """Record the session that `docs/try/` plays back."""
    asyncio.run(record(FOLDER))
    sys.stdout.write(f"Recorded: {FOLDER}/index.html\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
