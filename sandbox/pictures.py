"""`make pictures`: what members see, drawn from messages that the real bot sent to the stand-in of Discord."""

from __future__ import annotations

import asyncio
import base64
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from sandbox.bot_process import BotProcess
from sandbox.delivered import audio_seconds
from sandbox.discord import DiscordStandIn
from sandbox.ports import reserved_port
from sandbox.transcript import clock, kilobytes, shown
from sandbox.vidgo import VidGoStandIn

if TYPE_CHECKING:
    from sandbox.discord import Attachment, Message

FOLDER = Path("docs/pictures")
TOKEN, KEY = "pictures.discord.token", "pictures-vidgo-key"
EVENT_SECONDS = 20.0

ROW, STRING_MENU, SEPARATOR = 1, 3, 14
WIDTH = 760
LEFT = 76
LINE = 22
# Widths of characters in the fonts that a reader may have differ; a picture that leaves room looks right in all.
CHARACTER = 8.0
BACKGROUND, CARD, TEXT, MUTED, LINK = "#313338", "#2b2d31", "#dbdee1", "#949ba4", "#a9c3ff"
FONT = "font-family='Helvetica, Arial, sans-serif'"


_JUMP = re.compile(r"https://discord\.com/channels/\S+")


class Picture:
    """An SVG that grows downwards."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._bottom = 18.0

    def message(self, message: Message, names: dict[int, str], *, note: str = "") -> None:
        """Draw a message as Discord's client shows it."""
        asked = message.replied_to
        if asked is not None:
            quoted = _JUMP.sub("#music > message", shown(asked.content, names, time.time()).plain)
            self._text(LEFT, f"↱  {quoted}", size=13, colour=MUTED)
        top = self._bottom
        self._parts.append(f"<circle cx='38' cy='{top + 20}' r='20' fill='#5b8def'/>")
        note_head = f"<ellipse cx='34' cy='{top + 27}' rx='5' ry='4' fill='white'/>"
        self._parts.append(
            f"{note_head}<path d='M 39 {top + 27} v -17 q 1 5 7 7' stroke='white' fill='none' stroke-width='2'/>"
        )
        self._parts.append(
            f"<text x='{LEFT}' y='{top + 14}' {FONT} font-size='15' font-weight='600' fill='#f2f3f5'>Coverbot</text>"
            f"<rect x='{LEFT + 78}' y='{top + 1}' width='36' height='16' rx='4' fill='#5865f2'/>"
            f"<text x='{LEFT + 96}' y='{top + 13}' {FONT} font-size='11' text-anchor='middle' fill='white'>APP</text>"
        )
        self._bottom = top + 20
        if message.is_layout:
            for container in message.components:
                self._container(container, message.files, names)
        else:
            self._markdown(message.content, names)
            for file in message.attachments:
                self._player(file)
            for embed in message.embeds:
                self._embed(embed, message.files, names)
            for row in message.components:
                self._row(row["components"], LEFT)
        if note:
            self._text(LEFT, note, size=12, colour=MUTED)
        self._bottom += 22

    def save(self, path: Path) -> None:
        """Write the picture."""
        height = round(self._bottom)
        svg = (
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' "
            f"viewBox='0 0 {WIDTH} {height}'><rect width='100%' height='100%' rx='10' fill='{BACKGROUND}'/>"
            f"{''.join(self._parts)}</svg>\n"
        )
        path.write_text(svg, "utf-8")

    def _text(self, x: float, text: str, *, size: int = 15, colour: str = TEXT, bold: bool = False) -> None:
        limit = int((WIDTH - x - 20) / (CHARACTER * size / 15))
        cut = text if len(text) <= limit else text[: limit - 1] + "…"
        self._parts.append(
            f"<text x='{x}' y='{self._bottom + size}' {FONT} font-size='{size}' "
            f"font-weight='{600 if bold else 400}' fill='{colour}'>{escape(cut)}</text>"
        )
        self._bottom += size + 7

    def _markdown(self, content: str, names: dict[int, str]) -> None:
        """Draw a message's words, with bold text and mentions as they are."""
        text = shown(content, names, time.time())
        marks = [""] * len(text.plain)
        for span in text.spans:
            for place in range(span.start, min(span.end, len(marks))):
                marks[place] += str(span.style)
        spans: list[tuple[str, str]] = []
        x = 0.0
        place = 0
        for word in text.plain.split(" "):
            if x + len(word) * CHARACTER > WIDTH - LEFT - 30 and spans:
                self._spans(spans)
                spans, x = [], 0.0
            style = marks[place] if place < len(marks) else ""
            spans.append((word + " ", style))
            x += (len(word) + 1) * CHARACTER
            place += len(word) + 1
        self._spans(spans)

    def _spans(self, spans: list[tuple[str, str]]) -> None:
        body = "".join(
            f"<tspan fill='{LINK if 'cyan' in style else TEXT}' font-weight='{600 if 'bold' in style else 400}'>"
            f"{escape(word)}</tspan>"
            for word, style in spans
        )
        self._parts.append(
            f"<text x='{LEFT}' y='{self._bottom + 15}' {FONT} font-size='15' xml:space='preserve'>{body}</text>"
        )
        self._bottom += LINE

    def _player(self, file: Attachment) -> None:
        top = self._bottom + 4
        self._parts.append(
            f"<rect x='{LEFT}' y='{top}' width='430' height='84' rx='8' fill='{CARD}' stroke='#232428'/>"
            f"<text x='{LEFT + 16}' y='{top + 24}' {FONT} font-size='15' fill='{LINK}'>{escape(file.filename)}</text>"
            f"<text x='{LEFT + 16}' y='{top + 41}' {FONT} font-size='11' fill='{MUTED}'>{kilobytes(file.size)}</text>"
            f"<rect x='{LEFT + 12}' y='{top + 50}' width='406' height='26' rx='4' fill='#1e1f22'/>"
            f"<path d='M {LEFT + 22} {top + 56} l 12 7 l -12 7 z' fill='{TEXT}'/>"
            f"<text x='{LEFT + 44}' y='{top + 67}' {FONT} font-size='12' fill='{TEXT}'>0:00 / "
            f"{clock(audio_seconds(file.data))}</text>"
            f"<rect x='{LEFT + 118}' y='{top + 61}' width='288' height='5' rx='2' fill='#4e5058'/>"
        )
        self._bottom = top + 92

    def _embed(self, embed: dict[str, Any], files: list[Attachment], names: dict[int, str]) -> None:
        top = self._bottom + 4
        start = len(self._parts)
        self._bottom = top + 8
        for part, bold in ((embed.get("title"), True), (embed.get("description"), False)):
            if part:
                self._text(LEFT + 16, shown(part, names, time.time()).plain, size=14, bold=bold)
        fields = embed.get("fields", [])
        x = LEFT + 16
        for field in fields:
            value = shown(field["value"], names, time.time()).plain
            self._parts.append(
                f"<text x='{x}' y='{self._bottom + 12}' {FONT} font-size='12' font-weight='600' fill='{TEXT}'>"
                f"{escape(field['name'])}</text>"
                f"<text x='{x}' y='{self._bottom + 30}' {FONT} font-size='13' fill='{TEXT}'>{escape(value)}</text>"
            )
            x += 140
        self._bottom += 40 if fields else 0
        self._image(embed.get("image"), files, LEFT + 16, 220)
        thumbnail = self._find(embed.get("thumbnail"), files)
        if thumbnail is not None:
            self._bottom = max(self._bottom, top + 90)
            self._place(thumbnail, LEFT + 450, top + 10, 72)
        height = self._bottom - top + 6
        self._parts.insert(
            start,
            f"<rect x='{LEFT}' y='{top}' width='536' height='{height}' rx='5' fill='{CARD}'/>"
            f"<rect x='{LEFT}' y='{top}' width='4' height='{height}' rx='2' fill='#{embed.get('color', 0):06x}'/>",
        )
        self._bottom = top + height + 4

    def _image(self, image: dict[str, Any] | None, files: list[Attachment], x: float, size: int) -> None:
        found = self._find(image, files)
        if found is not None:
            self._place(found, x, self._bottom + 4, size)
            self._bottom += size + 10

    def _find(self, image: dict[str, Any] | None, files: list[Attachment]) -> Attachment | None:
        return next((file for file in files if image is not None and file.url == image.get("url")), None)

    def _place(self, file: Attachment, x: float, y: float, size: int) -> None:
        data = base64.b64encode(file.data).decode()
        self._parts.append(
            f"<image x='{x}' y='{y}' width='{size}' height='{size}' href='data:{file.content_type};base64,{data}'/>"
        )

    def _container(self, container: dict[str, Any], files: list[Attachment], names: dict[int, str]) -> None:
        """Draw what a layout's container holds: texts with their thumbnails, lines, buttons and menus."""
        top = self._bottom + 4
        start = len(self._parts)
        self._bottom = top + 8
        for item in container["components"]:
            if item["type"] == ROW:
                self._row(item["components"], LEFT + 16)
            elif item["type"] == SEPARATOR:
                self._parts.append(
                    f"<rect x='{LEFT + 16}' y='{self._bottom + 6}' width='504' height='1' fill='#3f4147'/>"
                )
                self._bottom += 12
            else:
                self._section(item, files, names)
        height = self._bottom - top + 8
        self._parts.insert(
            start,
            f"<rect x='{LEFT}' y='{top}' width='536' height='{height}' rx='5' fill='{CARD}'/>"
            f"<rect x='{LEFT}' y='{top}' width='4' height='{height}' rx='2' "
            f"fill='#{container.get('accent_color') or 0:06x}'/>",
        )
        self._bottom = top + height + 4

    def _section(self, item: dict[str, Any], files: list[Attachment], names: dict[int, str]) -> None:
        top = self._bottom
        for text in item.get("components") or [item]:
            for line in text["content"].split("\n"):
                small, large = line.startswith("-# "), line.startswith("## ")
                words = shown(line.removeprefix("-# ").removeprefix("## "), names, time.time())
                bold = large or any("bold" in str(span.style) for span in words.spans)
                size, colour = (12, MUTED) if small else (18, TEXT) if large else (14, TEXT)
                self._text(LEFT + 16, words.plain, size=size, colour=colour, bold=bold)
        accessory = item.get("accessory") or {}
        picture = self._find(accessory.get("media"), files)
        if picture is not None:
            self._place(picture, LEFT + 450, top + 4, 64)
            self._bottom = max(self._bottom, top + 72)
        elif accessory:
            bottom, self._bottom = self._bottom, top - 4
            self._row([accessory], LEFT + 420)
            self._bottom = max(self._bottom, bottom)

    def _row(self, row: list[dict[str, Any]], x: float) -> None:
        top = self._bottom + 4
        for part in row:
            offered: list[dict[str, Any]] = part.get("options") or []
            chosen = next((one for one in offered if one.get("default")), {})
            sign = (part.get("emoji") or {}).get("name") or ""
            label = f"{sign} {part.get('label') or chosen.get('label') or part.get('placeholder') or ''}".strip()
            width = 504 if part["type"] == STRING_MENU else 26 + len(label) * 7.5
            fill = "#1e1f22" if part["type"] == STRING_MENU else "#5865f2" if part.get("style") == 1 else "#4e5058"
            middle = f"x='{x + width / 2}' text-anchor='middle'" if part["type"] != STRING_MENU else f"x='{x + 14}'"
            self._parts.append(
                f"<rect x='{x}' y='{top}' width='{width}' height='32' rx='6' fill='{fill}'/>"
                f"<text {middle} y='{top + 21}' {FONT} font-size='14' fill='white'>{escape(label)}</text>"
            )
            x += width + 8
        self._bottom = top + 36


async def draw(folder: Path) -> None:
    """Play a short session with the real bot and draw two of its replies into `folder`."""
    async with (
        DiscordStandIn(token=TOKEN) as discord,
        VidGoStandIn(key=KEY, seconds=0.5) as vidgo,
    ):
        guild = discord.add_guild("The Boathouse")
        channel = guild.add_channel("music")
        ada = guild.add_member("ada")
        names = {ada.id: ada.name}
        with tempfile.TemporaryDirectory(prefix="coverbot-pictures-") as directory, reserved_port() as port:
            bot = BotProcess(Path(directory))
            await bot.start(
                {
                    "DISCORD_TOKEN": TOKEN,
                    "DISCORD_API_URL": discord.api_url,
                    "VIDGO_API_KEY": KEY,
                    "VIDGO_API_URL": vidgo.api_url,
                    "LISTEN_PORT": str(port),
                    "PUBLIC_URL": f"http://127.0.0.1:{port}",
                    "MEDIA_ALLOW_PRIVATE_HOSTS": "true",
                }
            )
            try:
                await bot.during(discord.wait_ready(EVENT_SECONDS))
                for title, tags in (("Paper Boats", "lofi, calm"), ("Harbour Lights", "folk, warm")):
                    song = vidgo.add_song(title, tags=tags, seconds=20, variants=1)
                    call = await discord.slash(ada, channel, "music import", task_id=song.id)
                    await bot.during(call.reply(EVENT_SECONDS))
                vidgo.set_result("generate-music-cover", "audio_one")
                call = await discord.slash(ada, channel, "cover")
                acknowledgement = await bot.during(call.reply(EVENT_SECONDS))
                cover = await bot.during(
                    channel.wait_for(lambda message: message.reference == acknowledgement.id, EVENT_SECONDS)
                )
                call = await discord.slash(ada, channel, "music library")
                library = await bot.during(call.reply(EVENT_SECONDS))
                picture = Picture()
                picture.message(cover, names)
                picture.save(folder / "cover.svg")
                picture = Picture()
                picture.message(library, names, note="Only you can see this")
                picture.save(folder / "library.svg")
                await bot.stop()
            finally:
                await bot.kill()


def main() -> int:
    """Draw the pictures of the README."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    asyncio.run(draw(FOLDER))
    sys.stdout.write(f"Drawn: {', '.join(sorted(str(path) for path in FOLDER.glob('*.svg')))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
