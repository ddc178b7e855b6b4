"""The commands that the pages show, as they stand there: in a clone of the working tree, with an empty home.

Each block of the shell is run, or says in a comment before it why it is not. What needs the package index is run where
`COVERBOT_INSTALL` is set; else the clone borrows what this Python has installed.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.discord import DiscordStandIn
from sandbox.ports import reserved_port
from sandbox.vidgo import VidGoStandIn
from tests.patience import patient
from tests.project.pages import DOCS, ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
STORY = ["README.md", "docs/play.md", "docs/install.md", "docs/operating.md", "docs/privacy.md"]
"""The pages with commands that are run, in the order in which an owner comes to them."""

REASONS = {
    "asks questions",  # tests/cli/ answers them
    "needs Docker",
    "needs Kubernetes",
    "needs a PostgreSQL server",  # tests/end_to_end/test_migrate_database.py has one
    "needs a bot that runs",
    "needs an account",
    "needs rsync",
    "needs systemd",
    "needs the package index",
    "takes long",
}
UNTIL = "until Ctrl-C"
INSTALLS = bool(os.environ.get("COVERBOT_INSTALL"))
SECONDS = patient(1200 if INSTALLS else 120)
TOKEN, KEY, CHANNEL = "MTA5.a-token.of-nobody", "vg-a-key-of-nobody", 123456789012345678

_BLOCK = re.compile(r"(?:^<!-- (?P<mark>.+?) -->\n)?^```sh\n(?P<commands>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """Commands as a page shows them; `mark` is what the comment before them says."""

    page: str
    mark: str
    commands: str

    @property
    def is_run(self) -> bool:
        if self.mark == "not run: needs the package index":
            return INSTALLS
        if self.mark == "not run: needs rsync":
            return shutil.which("rsync") is not None
        return self.mark in ("", UNTIL)


def blocks(page: Path) -> list[Block]:
    name = str(page.relative_to(ROOT))
    found = _BLOCK.finditer(page.read_text("utf-8"))
    return [Block(name, block["mark"] or "", block["commands"]) for block in found]


@dataclass
class Clone:
    """A copy of the working tree, and a home with nothing in it."""

    folder: Path
    home: Path
    settings: Mapping[str, str]
    discord: DiscordStandIn

    @property
    def environment(self) -> dict[str, str]:
        kept = ("PATH", "LANG", "LC_", "COVERAGE", "COVERBOT_TEST_", "PIP_", "SSL_CERT", "REQUESTS_CA")
        inherited = {name: value for name, value in os.environ.items() if name.startswith(kept)}
        path = f"{self.folder}/.venv/bin:{Path(sys.executable).parent}:{inherited['PATH']}"
        return inherited | {"HOME": str(self.home), "PATH": path} | dict(self.settings)

    async def run(self, block: Block) -> None:
        """Do what the block says, as somebody would who pastes it."""
        seen = self.discord.identified
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", block.commands),
            cwd=self.folder,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        said = ""
        try:
            async with asyncio.timeout(SECONDS):
                if block.mark == UNTIL:
                    said = await self._works(shell, block, seen)
                    os.killpg(shell.pid, signal.SIGINT)
                rest, _ = await shell.communicate()
                said += rest.decode()
        finally:
            if shell.returncode is None:
                os.killpg(shell.pid, signal.SIGKILL)
        # make says by its code that it was interrupted.
        fine = (0, 2, 130, -signal.SIGINT) if block.mark == UNTIL and "make" in block.commands else (0,)
        assert shell.returncode in fine, f"{block.page}:\n{block.commands}\n{said}"
        assert "Traceback" not in said, said

    async def _works(self, shell: asyncio.subprocess.Process, block: Block, seen: int) -> str:
        """Wait until what runs until Ctrl-C does its work, and return what it has said."""
        if "coverbot run" in block.commands:
            await self.discord.wait_ready(SECONDS, newer_than=seen)
            return ""
        assert shell.stdout is not None
        said = ""
        while not re.search(r"http://127\.0\.0\.1:\d+/", said):
            line = await shell.stdout.readline()
            assert line, said
            said += line.decode()
        return said


def borrow(folder: Path) -> None:
    """Make an environment of what this Python has; what installs it is tested in test_setup.py, and by CI."""
    scripts = folder / ".venv" / "bin"
    scripts.mkdir(parents=True)
    for name, module in (("python", ""), ("coverbot", " -m bot")):
        (scripts / name).write_text(f'#!/bin/sh\nPYTHONPATH="{folder}" exec "{sys.executable}"{module} "$@"\n')
        (scripts / name).chmod(0o755)
    for stamp in ("demo", "dev"):
        (folder / ".venv" / stamp).touch()


def copy_tree(folder: Path) -> None:
    """Copy the working tree, without what git ignores, and lay the two keys beside it."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "token.txt").write_text(TOKEN)
    (folder / "key.txt").write_text(KEY)


@asynccontextmanager
async def cloned(directory: Path) -> AsyncIterator[Clone]:
    folder, home = directory / "coverbot", directory / "home"
    home.mkdir()
    copy_tree(folder)
    if not INSTALLS:
        borrow(folder)
    async with DiscordStandIn(token=TOKEN) as discord, VidGoStandIn(key=KEY) as vidgo:
        discord.add_guild("Harbour").add_channel("songs", number=CHANNEL)
        with reserved_port() as port:
            settings = {
                "DISCORD_API_URL": discord.api_url,
                "VIDGO_API_URL": vidgo.api_url,
                "LISTEN_PORT": str(port),
            }
            yield Clone(folder, home, settings, discord)


def test_each_block_is_run_or_says_why_not() -> None:
    every = [block for page in PAGES for block in blocks(page)]
    assert len(every) > 15
    marks = {block.mark for block in every} - {"", UNTIL}
    assert marks == {f"not run: {reason}" for reason in REASONS}
    assert {block.page for block in every if block.mark in ("", UNTIL)} <= set(STORY)
    languages = {name for page in PAGES for name in re.findall(r"^ *```(\w+)$", page.read_text("utf-8"), re.MULTILINE)}
    assert languages.isdisjoint({"bash", "console", "shell", "zsh"}), "commands stand in blocks of `sh`"


@pytest.mark.timeout(3600 if INSTALLS else 600)
async def test_what_the_pages_say_works_in_an_empty_home(tmp_path: Path) -> None:
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    done = []
    async with cloned(tmp_path) as clone:
        for block in (block for name in STORY for block in blocks(ROOT / name)):
            if block.is_run:
                await clone.run(block)
                done.append(block.commands)
            if block.commands == "cp .env.example .env\n":  # and, as the page says, with an editor
                file = clone.folder / ".env"
                filled = file.read_text("utf-8").replace("DISCORD_TOKEN=\n", f"DISCORD_TOKEN={TOKEN}\n", 1)
                file.write_text(filled.replace("VIDGO_API_KEY=\n", f"VIDGO_API_KEY={KEY}\n", 1), "utf-8")
        assert (clone.folder / "demo-output" / "Harbour_Lights.mp3").is_file()
        assert list((clone.home / "backup").glob("coverbot-*.db"))
        assert clone.discord.violations == []
    assert len(done) >= 10
