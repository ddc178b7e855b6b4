"""`coverbot setup`: from two keys to a bot that may post, with each answer tried out at once.

Nothing is written before both keys are good. Questions are asked outside of the event loop, so that Ctrl-C ends them.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
import warnings
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import discord
from pydantic import TypeAdapter, ValidationError

from bot.cli.accounts import (
    TIMEOUT,
    Wrong,
    ask_balance,
    invitation,
    log_in,
    look_at_channel,
    look_at_servers,
    open_discord,
    servers_of,
)
from bot.environment import Environment, behind, clean_value, decode, write_environment
from bot.settings import FILE, Secret, Settings, SettingsError, find_settings, make_settings

PAUSE = 3.0
"""Seconds between two questions whether the bot is in a server now."""

LONGEST_KEY = 10_000
"""How many bytes of a file are read."""

TOKEN, KEY = "DISCORD_TOKEN", "VIDGO_API_KEY"

_SECRET = TypeAdapter(Secret)

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@dataclass(frozen=True, slots=True)
class Answers:
    """What was answered beforehand; with `yes` nothing is asked. `wait` is in seconds, None as long as it takes."""

    token_file: Path | None
    key_file: Path | None
    channel: int | None
    wait: float | None
    yes: bool

    @property
    def may_ask(self) -> bool:
        """Whether there is somebody to ask."""
        return not self.yes and sys.stdin is not None and sys.stdin.isatty()


@dataclass(frozen=True, slots=True)
class _Question:
    """One of the two keys: its setting, what it is, what may hold it, and how it is tried out."""

    name: str
    words: str
    option: str
    file: Path | None
    test: Callable[[str], str]


def setup(answers: Answers, run: Run, say: Callable[[str], None]) -> bool:
    """Get both keys, write them down, wait for a server, and tell whether the bot may post.

    `run` runs a coroutine to its end. Raises `SettingsError`, and `Wrong` where Discord does not answer.
    """
    environment = find_settings()
    others = {name.lower(): value for name, value in environment.values.items() if name not in (TOKEN, KEY)}
    settings = make_settings(others | {TOKEN.lower(): "unknown", KEY.lower(): "unknown"}, environment)
    for hint in environment.hints:
        say(f"hint   {hint}")
    if any(environment.origins.get(name, FILE.name) == FILE.name for name in (TOKEN, KEY)):
        _see_that_it_can_be_written()
    token = _answer(
        _Question(
            TOKEN,
            "the bot's token (Discord developer portal: your application, Bot, Reset Token)",
            "--discord-token-file",
            answers.token_file,
            lambda token: str(run(_try_token(settings, token))),
        ),
        environment,
        answers,
        say,
    )
    key = _answer(
        _Question(
            KEY,
            "the API key (VidGo's console)",
            "--vidgo-key-file",
            answers.key_file,
            lambda key: str(run(_try_key(settings, key))),
        ),
        environment,
        answers,
        say,
    )
    _write({TOKEN: token, KEY: key}, environment, say)
    if not run(_join(settings, token, answers.wait, say)):
        say(f"the bot is in no server after {answers.wait:g} s; `coverbot check` says when it is")
        return False
    if not _look_at_channels(settings, token, answers, run, say):
        return False
    say("All is well. Start the bot with: coverbot run")
    return True


def _answer(question: _Question, environment: Environment, answers: Answers, say: Callable[[str], None]) -> str:
    """Return a key that is good: from its file, from where it stands already, or from the keyboard."""
    if question.file is not None:
        value = _read(question.file, question.option)
        try:
            say(f"ok     {question.name}: {_try_out(question, value)}")
        except Wrong as wrong:
            raise SettingsError(f"{question.option}: {wrong}") from None
        return value
    if value := environment.values.get(question.name, ""):
        where = environment.origins[question.name]
        try:
            say(f"ok     {question.name} in {where}: {_try_out(question, value)}")
        except Wrong as wrong:
            if not answers.may_ask:
                raise SettingsError(str(wrong)) from None
            say(f"WRONG  {question.name} in {where}: {wrong}")
        else:
            if not answers.may_ask or _ask(f"Keep this {question.name}? [Y/n] ").lower() not in ("n", "no"):
                return value
    if not answers.may_ask:
        raise SettingsError(f"{question.name} is not set; name a file that holds it with {question.option}")
    return _ask_until_good(question, say)


def _ask_until_good(question: _Question, say: Callable[[str], None]) -> str:
    last = ""
    while True:
        again = ", or press Enter to try the last one again" if last else ""
        value = _ask_secret(f"Paste {question.words}; it is not shown{again}: ") or last
        if not value:
            continue
        try:
            say(f"ok     {question.name}: {_try_out(question, value)}")
        except Wrong as wrong:
            say(f"WRONG  {wrong}")
            last = value
        else:
            return value


def _try_out(question: _Question, value: str) -> str:
    try:
        _SECRET.validate_python(value)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False, include_context=False)[0]["msg"]
        raise Wrong(f"{question.name} {reason.removeprefix('Value error, ')}") from None
    return question.test(value)


def _read(file: Path, option: str) -> str:
    try:
        with file.open("rb") as opened:
            value = clean_value(decode(opened.read(LONGEST_KEY)))
    except OSError as error:
        # Its name is not repeated: it may be the key itself.
        raise SettingsError(f"{option}: that file cannot be read: {error.strerror}") from None
    except (UnicodeError, ValueError):
        raise SettingsError(f"{option}: that file is no text") from None
    if not value:
        raise SettingsError(f"{option}: that file is empty")
    return value


def _ask(words: str) -> str:
    try:
        return input(words).strip()
    except EOFError:
        raise KeyboardInterrupt from None


def _ask_secret(words: str) -> str:
    try:
        with warnings.catch_warnings():
            # Where the terminal cannot hide it, it shall not be typed.
            warnings.simplefilter("error", getpass.GetPassWarning)
            return clean_value(getpass.getpass(words))
    except getpass.GetPassWarning:
        raise SettingsError("this terminal shows what is typed; give the keys in files") from None
    except EOFError:
        raise KeyboardInterrupt from None


async def _try_token(settings: Settings, token: str) -> str:
    async with open_discord(settings) as client:
        return f"logged in as {await log_in(client, token)}"


async def _try_key(settings: Settings, key: str) -> str:
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        credits_left = await ask_balance(session, settings, key)
    return f"{credits_left:g} credits" + ("; top up the account, nothing can be ordered" if credits_left <= 0 else "")


def _see_that_it_can_be_written() -> None:
    """Raise `SettingsError` before anything is asked whose answer could not be kept."""
    try:
        folder = behind(FILE).parent
    except ValueError as error:
        raise SettingsError(f"{FILE.name} cannot be written: {error}") from None
    if FILE.is_dir():
        raise SettingsError(f"{FILE.absolute()} is a folder; remove it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SettingsError(f"{FILE.name} cannot be written: nothing can be made in {folder} by this user")


def _write(keys: dict[str, str], environment: Environment, say: Callable[[str], None]) -> None:
    """Write down what the environment does not say, and say where it says something else."""
    origins = environment.origins
    outside = {name for name in keys if name in origins and origins[name] != FILE.name}
    if own := {
        name: value for name, value in keys.items() if environment.values.get(name) != value or name not in outside
    }:
        try:
            write_environment(own, FILE)
        except OSError as error:
            raise SettingsError(f"{FILE.name} cannot be written: {error.strerror}") from None
        except ValueError as error:  # also for what is no text
            raise SettingsError(f"{FILE.name} cannot be written: {error}") from None
        say(f"ok     {', '.join(own)} written to {FILE.absolute()}, which you alone can read")
    for name in sorted(outside & own.keys()):
        say(f"hint   {name} is set in the environment too, to something else, and that counts; remove it there")


async def _join(settings: Settings, token: str, seconds: float | None, say: Callable[[str], None]) -> bool:
    """Print the invitation and tell whether the bot is in a server within that time."""
    async with open_discord(settings) as client:
        await log_in(client, token)
        say("Open this address, choose your server, and leave all six permissions as they are:")
        say(f"  {await invitation(client)}")
        servers = await servers_of(client, settings.discord_guild_id)
        if not servers:
            say("Waiting until the bot is in a server; Ctrl-C ends that, and nothing is lost by it")
            try:
                async with asyncio.timeout(seconds):
                    servers = await _wait_for_server(client, settings.discord_guild_id)
            except TimeoutError:
                return False
        say(f"ok     the bot is in {', '.join(server.name for server in servers[:5])}")
        return True


async def _wait_for_server(client: discord.Client, only: int | None) -> list[discord.Guild]:
    while True:
        await asyncio.sleep(PAUSE)
        try:
            if servers := await servers_of(client, only):
                return servers
        except Wrong:  # it has worked before, and will again
            continue


def _look_at_channels(settings: Settings, token: str, answers: Answers, run: Run, say: Callable[[str], None]) -> bool:
    """Say whether the bot may post in a channel or, where none is named, in which of all."""
    while True:
        chosen = answers.channel or (_ask_channel() if answers.may_ask else None)
        try:
            say(f"ok     {run(_look(settings, token, chosen))}")
        except Wrong as wrong:
            say(f"WRONG  {wrong}")
            if answers.channel is not None or chosen is None:
                return False
        else:
            return True


def _ask_channel() -> int | None:
    while typed := _ask("The ID of a channel that the bot shall post in (Enter: look at all of them): "):
        if typed.isascii() and typed.isdigit():
            return int(typed)
    return None


async def _look(settings: Settings, token: str, channel_id: int | None) -> str:
    async with open_discord(settings) as client:
        await log_in(client, token)
        if channel_id is not None:
            return await look_at_channel(client, channel_id)
        return await look_at_servers(client, await servers_of(client, settings.discord_guild_id))
