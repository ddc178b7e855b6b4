"""A conversation in Discord as readable text: who says what, files, pictures, buttons, in at most 100 columns."""

from __future__ import annotations

import re
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from sandbox.delivered import audio_seconds, picture_size
from sandbox.discord.state.content import walk_components

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sandbox.discord import Attachment, Choice, Message

WIDTH = 100
INDENT = 12
STRING_MENU, TEXT_DISPLAY = 3, 10
_BAR = "━" * 24
_NAME_STYLES = {True: "bold blue", False: "bold magenta"}

# What Discord's own client makes of a message: https://discord.com/developers/docs/reference#message-formatting
_MARKDOWN = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|\*\*(?P<bold>(?:\\.|[^\\])+?)\*\*"
    r"|`(?P<code>[^`]+)`"
    r"|<t:(?P<time>-?\d+)(?::(?P<style>[tTdDfFsSR]))?>"
    r"|<@!?(?P<user>\d+)>"
    r"|</(?P<command>[^:>]+):\d+>"
    r"|(?P<invisible>\u200b)",
    re.DOTALL,
)
_UNITS = (("year", 31_536_000), ("month", 2_592_000), ("day", 86_400), ("hour", 3_600), ("minute", 60))


def shown(text: str, names: Mapping[int, str], now: float) -> Text:
    """Render Discord's markdown as a person sees it; `now` is in Unix seconds, unknown people stay numbers."""
    seen = Text()
    at = 0
    for match in _MARKDOWN.finditer(text):
        seen.append(text[at : match.start()])
        at = match.end()
        if match["escaped"]:
            seen.append(match["escaped"])
        elif match["bold"]:
            bold = shown(match["bold"], names, now)
            bold.stylize("bold")
            seen.append_text(bold)
        elif match["code"]:
            seen.append(match["code"], "cyan")
        elif match["time"]:
            seen.append(_moment(int(match["time"]), match["style"], now), "underline")
        elif match["command"]:
            seen.append(f"/{match['command']}", "cyan")
        elif match["user"]:
            seen.append(f"@{names.get(int(match['user']), match['user'])}", "bold cyan")
    return seen.append(text[at:])


def _moment(at: int, style: str | None, now: float) -> str:
    return relative(at - now) if style == "R" else f"{datetime.fromtimestamp(at, UTC):%d %B %Y %H:%M} UTC"


def relative(seconds: float) -> str:
    """Say how far off a moment is, as Discord's relative timestamps do; negative is the past."""
    distance = round(abs(seconds))
    words = f"{distance} second{'' if distance == 1 else 's'}"
    for unit, length in _UNITS:
        if distance >= length:
            count = round(distance / length)
            words = f"{'an' if unit == 'hour' else 'a'} {unit}" if count == 1 else f"{count} {unit}s"
            break
    return f"in {words}" if seconds >= 0 else f"{words} ago"


def clock(seconds: float) -> str:
    """Write a length in seconds as a player does: 3:07."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def kilobytes(size: int) -> str:
    """Write a size in bytes for people."""
    return f"{size / 1000:,.0f} KB"


def open_console() -> Console:
    """Return the console of standard output: colours and motion only in a terminal, no character it cannot take."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace", line_buffering=True)
    console = Console(highlight=False, markup=False, emoji=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console


class Transcript:
    """Writes down what people see in a channel, and what happens behind it; `names` are the people's by id."""

    def __init__(self, console: Console, names: Mapping[int, str], wall: Callable[[], float] = time.time) -> None:
        self._console = console
        self._names = names
        self._wall = wall

    def text(self, text: str, style: str = "") -> None:
        """Write a paragraph."""
        for line in Text(text, style).wrap(self._console, self._console.width):
            self._print(line)

    def heading(self, title: str) -> None:
        """Begin a part."""
        self._console.print()
        head = Text.assemble(("── ", "dim"), (title, "bold"), " ")
        head.append("─" * (self._console.width - head.cell_len), "dim")
        self._console.print(head, overflow="crop", no_wrap=True)

    def types(self, who: str, command: str) -> None:
        """Write what a person enters."""
        self._say(who, Text(command, "green"), bot=False)

    def offers(self, who: str, typed: str, choices: Sequence[Choice]) -> None:
        """Write what a person is typing with the suggestions that appear."""
        self._say(who, Text.assemble((typed, "green"), ("▏", "blink")), bot=False)
        for number, choice in enumerate(choices):
            self._say("", Text.assemble(("▸ " if number == 0 else "  ") + choice.name))

    def message(self, message: Message, remark: str = "") -> None:
        """Write a message as it stands in the channel, with a remark of the narrator's."""
        answered = message.replied_to
        parts = []
        if answered is not None:
            quoted = Text("↪ ").append_text(self._shown(answered.content))
            quoted.stylize("dim")
            quoted.truncate(self._console.width - INDENT, overflow="ellipsis")  # a preview is one line there, too
            parts.append(quoted)
        if message.is_layout:
            parts += self._layout(message.components)
        else:
            parts.append(self._shown(message.content))
            parts += [_player(file) for file in message.attachments]
            parts += [self._embed(embed, message.files) for embed in message.embeds]
        buttons = Text("  ".join(f"[{button.label}]" for button in message.buttons), "bold")
        if len(parts) == 1 and buttons:
            parts[0].append("  ").append_text(buttons)
        elif buttons:
            parts.append(buttons)
        if remark:
            parts[-1].append(f"  {remark}", "not bold dim")
        self._say(message.author.name, parts[0], bot=message.author.bot)
        for part in parts[1:]:
            self._say("", part)

    def form(self, modal: Mapping[str, Any], filled: Mapping[str, str]) -> None:
        """Write a form that opens before a person, and what they fill in."""
        self._say("", Text.assemble(("▤ ", "blue"), (modal["title"], "bold")))
        for part in modal["components"]:
            field = part.get("component")
            if part["type"] == TEXT_DISPLAY:
                self._say("", self._shown(part["content"]))
            elif field is not None:
                hint = f" ({part['description']})" if part.get("description") else ""
                typed = filled.get(field["custom_id"], field.get("value") or "")
                self._say("", Text.assemble((f"{part['label']}{hint}: ", "bold"), (typed, "green")))
        self._say("", Text("[Submit]", "bold"))

    def note(self, text: str) -> None:
        """Write what happened where nobody in the channel sees it."""
        self._say("", Text(f"· {text}", "dim"))

    def done(self, text: str) -> None:
        """Write something that was checked and is true."""
        self._console.print(Text.assemble(("  ✓ ", "bold green"), text))

    def failed(self, text: str, log: Sequence[str]) -> None:
        """Write what went wrong, and the last that the bot logged."""
        self._console.print()
        self.text(f"✗ {text}", "bold red")
        if log:
            self._console.print(Text("  The last lines of the bot's log:"))
        for line in log:
            self._console.print(Text(f"  │ {line}", "dim"), soft_wrap=True)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show a moving bar and the time while something takes long; nothing of it stays, or is seen in a file."""
        columns = (TextColumn(" " * (INDENT - 1)), SpinnerColumn(), TextColumn("{task.description}"))
        with Progress(
            *columns,
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        ) as progress:
            progress.add_task(text, total=None)
            yield

    def _shown(self, text: str) -> Text:
        return shown(text, self._names, self._wall())

    def _embed(self, embed: Mapping[str, Any], files: Sequence[Attachment]) -> Text:
        fields = [f"{field['name']} {field['value']}" for field in embed.get("fields", [])]
        words = [self._shown(part) for part in [embed.get("title"), embed.get("description"), *fields] if part]
        addresses = {embed.get(part, {}).get("url") for part in ("image", "thumbnail")}
        words += [self._shown(embed["footer"]["text"])] if "footer" in embed else []
        words += [_picture(file) for file in files if file.url in addresses]
        return Text.assemble(("▎ ", "blue"), Text(" · ").join(words))

    def _layout(self, components: Sequence[dict[str, Any]]) -> list[Text]:
        """Return what can be read in a layout, and what can be chosen there."""
        found: list[Text] = []
        for item in walk_components(components):
            if item["type"] == TEXT_DISPLAY:
                found.append(
                    self._shown(re.sub(r"^(## |-# )", "", item["content"], flags=re.MULTILINE).replace("\n", " · "))
                )
            elif item["type"] == STRING_MENU:
                chosen = next((one["label"] for one in item["options"] if one.get("default")), item.get("placeholder"))
                found.append(Text(f"[{chosen} ▾]", "bold"))
        return found

    def _say(self, who: str, body: Text, *, bot: bool = False) -> None:
        width = self._console.width - INDENT
        for number, line in enumerate(body.wrap(self._console, width)):
            name = f"  {who if number == 0 else '':{INDENT - 2}}"
            self._print(Text.assemble((name, _NAME_STYLES[bot]), line))

    def _print(self, line: Text) -> None:
        line.rstrip()  # so that the transcript can be copied without invisible ends of lines
        self._console.print(line, overflow="ignore", no_wrap=True, crop=False)


def _player(file: Attachment) -> Text:
    try:
        length = clock(audio_seconds(file.data))
    except ValueError as error:
        length = str(error)
    played = (_BAR, "blue")
    return Text.assemble(
        ("▶ ", "bold green"), (file.filename, "bold"), " ", played, f" {length}  ", kilobytes(file.size)
    )


def _picture(file: Attachment) -> Text:
    try:
        width, height = picture_size(file.data)
    except ValueError as error:
        return Text(f"{file.filename}: {error}")
    return Text(f"{file.filename} ({width} x {height}, {kilobytes(file.size)})")
