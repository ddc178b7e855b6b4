"""The program's commands: their options, their exit codes, and what is said where one cannot do its work."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Collection, Coroutine
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar

from bot.settings import Settings, SettingsError, load_settings

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}

FINE, FAILED, MISCONFIGURED, INTERRUPTED = 0, 1, 2, 130

T = TypeVar("T")


def run_command(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code: 0 fine, 1 failed, 2 wrong configuration, 130 broken off by Ctrl-C.

    SIGINT and SIGTERM are blocked before; each command lets them through once it can obey them.
    """
    options = parser().parse_args(arguments)
    code = _obey(options)
    if options.command == "run":
        # All is ended and closed. What Python would tear down takes seconds on a busy machine, and threads may wait for
        # a dead disk for ever.
        logging.shutdown()
        os._exit(code)
    return code


def _obey(options: argparse.Namespace) -> int:
    commands = {"run": _run, "check": _check, "invite": _invite, "health": _health, "demo": _demo}
    run = (commands | {"migrate-database": _migrate_database})[options.command]
    try:
        return run(options)
    except SettingsError as error:
        _say(str(error))
        return MISCONFIGURED
    except KeyboardInterrupt:
        if options.command == "run":  # whatever there was to end was ended
            return FINE
        _say("interrupted")
        return INTERRUPTED
    finally:  # nothing shall tear off the end of the process
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="coverbot", description="A Discord bot that makes covers with VidGo.")
    parser.add_argument("--version", action="version", version=f"coverbot {_version()}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="connect to Discord and work until stopped")
    commands.add_parser("demo", help="show the whole flow against local stand-ins: no account, no network")
    check = commands.add_parser("check", help="say what is wrong before anything starts")
    check.add_argument("--channel", type=int, metavar="ID", help="also check the permissions in this channel")
    commands.add_parser("health", help="say whether the bot that runs with these settings is ready")
    migrate = commands.add_parser("migrate-database", help="bring an SQLite installation over to PostgreSQL")
    migrate.add_argument("--to", required=True, metavar="URL", help="postgresql://user:password@host/coverbot")
    commands.add_parser("invite", help="print the address that invites the bot into a server")
    return parser


def _run(_options: argparse.Namespace) -> int:
    settings, hints = _settings()
    # What a command does not need is not loaded.
    from bot.app import Failed, run  # noqa: PLC0415 (heavy)
    from bot.logs import set_up_logging  # noqa: PLC0415 (heavy)

    set_up_logging(settings)
    for hint in hints:
        logging.getLogger("coverbot").warning("%s", hint)
    try:
        _loop(run(settings))
    except Failed as error:
        logging.getLogger("coverbot").error("%s", error)
        return FAILED
    return FINE


def _check(options: argparse.Namespace) -> int:
    try:
        settings, hints = _settings()
    except SettingsError as error:
        _report("WRONG", error.problems)
        _report("hint ", error.hints)
        raise
    from bot.cli.check import check  # noqa: PLC0415 (heavy)

    _report("hint ", hints)
    logging.disable()  # the lines below say it all
    return FINE if _loop(_interruptible(check(settings, options.channel, _print))) else FAILED


def _invite(_options: argparse.Namespace) -> int:
    settings, _ = _settings(without=["vidgo_api_key"])
    from bot.cli.check import Wrong, invite  # noqa: PLC0415 (heavy)

    logging.disable()
    try:
        _print(_loop(_interruptible(invite(settings))))
    except Wrong as error:
        raise SettingsError(str(error)) from None
    return FINE


def _migrate_database(options: argparse.Namespace) -> int:
    settings, _ = _settings(without=["discord_token", "vidgo_api_key"])
    from bot.cli.migrate import migrate_database  # noqa: PLC0415 (heavy)

    logging.disable()
    _loop(_interruptible(migrate_database(settings, options.to, _print)))
    return FINE


def _health(_options: argparse.Namespace) -> int:
    settings, _ = _settings(without=["discord_token", "vidgo_api_key"])
    from bot.cli.health import health  # noqa: PLC0415 (what a command does not need is not loaded)

    _let_through()
    ready, said = health(settings)
    _print(said)
    return FINE if ready else FAILED


def _demo(_options: argparse.Namespace) -> int:
    try:
        from sandbox.demo import main as demo  # noqa: PLC0415 (heavy)
    except ModuleNotFoundError as error:
        _say(f"the demo needs {error.name}; run `make demo` in the source folder")
        return FAILED
    _let_through()
    return demo()


def _settings(*, without: Collection[str] = ()) -> tuple[Settings, list[str]]:
    # `.env` may be a pipe that nobody writes to.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        return load_settings(without=without)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _loop(work: Coroutine[object, object, T]) -> T:
    import uvloop  # noqa: PLC0415 (heavy)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def _interruptible(work: Coroutine[object, object, T]) -> T:
    _let_through()
    return await work


def _let_through() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _report(label: str, lines: list[str]) -> None:
    for line in lines:
        _print(f"{label}  Settings: {line}")


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201 (for a terminal)


def _say(text: str) -> None:
    print(f"coverbot: {text}", file=sys.stderr)  # noqa: T201 (for a terminal)


def _version() -> str:
    try:
        return version("coverbot")
    except PackageNotFoundError:
        return "(not installed)"
