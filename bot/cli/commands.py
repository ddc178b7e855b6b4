"""The program's commands: their options, their exit codes, and what is said where one cannot do its work."""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import os
import signal
import sys
from collections.abc import Collection, Coroutine
from pathlib import Path
from typing import TextIO, TypeVar

from bot import version
from bot.settings import Settings, SettingsError, load_settings

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}

FINE, FAILED, MISCONFIGURED, INTERRUPTED = 0, 1, 2, 130

T = TypeVar("T")


def run_command(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code: 0 fine, 1 failed, 2 wrong configuration, 130 broken off by Ctrl-C.

    SIGINT and SIGTERM are blocked before; each command lets them through once it can obey them.
    """
    options, others = parser().parse_known_args(arguments)
    if others:
        # What stands there may be a key or an address with a password, so it is not repeated.
        names = [text.partition("=")[0] for text in others if text.startswith("-")]
        _say(f"{options.command} does not know {', '.join(names) or 'one of its arguments'}; see coverbot --help")
        return MISCONFIGURED
    code = _obey(options)
    if options.command == "run":
        # All is ended and closed. What Python would tear down takes seconds on a busy machine, and threads may wait for
        # a dead disk for ever.
        logging.shutdown()
        os._exit(code)
    return code


def _obey(options: argparse.Namespace) -> int:
    try:
        return _COMMANDS[options.command](options)
    except SettingsError as error:
        _say(str(error))
        return MISCONFIGURED
    except OSError:
        if (reason := _reason_of_silence()) is None:
            raise
        if not isinstance(reason, BrokenPipeError):  # else whoever reads what is printed has enough
            _say(f"what there is to say cannot be written: {reason.strerror}")
        return FAILED
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
    parser.add_argument("--version", action="version", version=f"coverbot {version()}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="connect to Discord and work until stopped")
    commands.add_parser("demo", help="show the whole flow against local stand-ins: no account, no network")
    play = commands.add_parser("play", help="serve a page on which to play with the bot between local stand-ins")
    play.add_argument("--port", type=int, default=0, metavar="N", help="the page's port; left out: a free one")
    check = commands.add_parser("check", help="say what is wrong before anything starts")
    check.add_argument("--channel", type=_id, metavar="ID", help="also check the permissions in this channel")
    setup = commands.add_parser("setup", help="ask for the two keys, write .env, and lead into a server")
    setup.add_argument("--discord-token-file", type=Path, metavar="FILE", help="holds the bot's token")
    setup.add_argument("--vidgo-key-file", type=Path, metavar="FILE", help="holds the API key")
    setup.add_argument("--channel", type=_id, metavar="ID", help="check the permissions in this channel")
    setup.add_argument("--wait", type=_seconds, metavar="SECONDS", help="wait no longer for the bot to be in a server")
    setup.add_argument("--yes", action="store_true", help="ask nothing; keep the keys that are set and good")
    backup = commands.add_parser("backup", help="copy the database into one file, while the bot runs or not")
    backup.add_argument("file", type=Path, metavar="FILE", help="the backup to write")
    backup.add_argument("--force", action="store_true", help="replace it if it is there already")
    restore = commands.add_parser("restore", help="put a backup in the place of the database, while no bot runs")
    restore.add_argument("file", type=Path, metavar="FILE", help="the backup to read")
    export = commands.add_parser("export", help="print everything kept about one person as JSON")
    export.add_argument("user", type=_id, metavar="USER_ID", help="the person's Discord id")
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
        settings, hints = _settings(thorough=True)
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
    from bot.cli.accounts import Refused, Wrong  # noqa: PLC0415 (heavy)
    from bot.cli.check import invite  # noqa: PLC0415 (heavy)

    logging.disable()
    try:
        _print(_loop(_interruptible(invite(settings))))
    except Refused as error:
        raise SettingsError(str(error)) from None
    except Wrong as error:
        _say(str(error))
        return FAILED
    return FINE


def _migrate_database(options: argparse.Namespace) -> int:
    settings, _ = _settings(without=["discord_token", "vidgo_api_key"])
    from bot.cli.migrate import migrate_database  # noqa: PLC0415 (heavy)

    logging.disable()
    _loop(_interruptible(migrate_database(settings, options.to, _print)))
    return FINE


def _setup(options: argparse.Namespace) -> int:
    from bot.cli.accounts import Wrong  # noqa: PLC0415 (heavy)
    from bot.cli.setup import Answers, setup  # noqa: PLC0415 (heavy)

    logging.disable()
    _let_through()
    answers = Answers(options.discord_token_file, options.vidgo_key_file, options.channel, options.wait, options.yes)
    try:
        return FINE if setup(answers, _loop, _print) else FAILED
    except Wrong as error:
        _say(str(error))
        return FAILED


def _backup(options: argparse.Namespace) -> int:
    settings, _ = _settings(without=["discord_token", "vidgo_api_key"])
    from bot.cli.backup import make_backup  # noqa: PLC0415 (heavy)
    from storage.database import DatabaseError  # noqa: PLC0415 (heavy)

    _let_through()
    replace = options.force
    while True:
        try:
            make_backup(settings, options.file, replace=replace, say=_print)
        except FileExistsError:
            if not (replace := _confirms(f"{options.file} is there already; replace it? [y/N] ")):
                _say(f"{options.file} is there already; choose another name, or replace it with --force")
                return FAILED
        except DatabaseError as error:
            _say(str(error))
            return FAILED
        else:
            return FINE


def _restore(options: argparse.Namespace) -> int:
    settings, _ = _settings(without=["discord_token", "vidgo_api_key"])
    from bot.cli.backup import put_back  # noqa: PLC0415 (heavy)
    from storage.database import DatabaseError  # noqa: PLC0415 (heavy)

    _let_through()
    try:
        put_back(settings, options.file, _print)
    except DatabaseError as error:
        _say(str(error))
        return FAILED
    return FINE


def _export(options: argparse.Namespace) -> int:
    settings, _ = _settings(without=["discord_token", "vidgo_api_key"])
    from bot.cli.export import export  # noqa: PLC0415 (heavy)
    from storage.database import DatabaseError  # noqa: PLC0415 (heavy)

    try:
        found = _loop(_interruptible(export(settings, options.user)))
    except DatabaseError as error:
        _say(str(error))
        return FAILED
    sys.stdout.buffer.write(found.encode() + b"\n")  # JSON is UTF-8, whatever the terminal is
    sys.stdout.flush()
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
        return _lacking("demo", error)
    _let_through()
    return demo()


def _play(options: argparse.Namespace) -> int:
    try:
        from sandbox.play.program import main as play  # noqa: PLC0415 (heavy)
    except ModuleNotFoundError as error:
        return _lacking("play", error)
    _let_through()
    return play(options.port)


def _lacking(command: str, error: ModuleNotFoundError) -> int:
    _say(f"`coverbot {command}` needs {error.name}; run `make {command}` in the source folder")
    return FAILED


def _settings(*, without: Collection[str] = (), thorough: bool = False) -> tuple[Settings, list[str]]:
    _let_through()  # `.env` may be a pipe that nobody writes to
    try:
        return load_settings(without=without, thorough=thorough)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def _loop(work: Coroutine[object, object, T]) -> T:
    import uvloop  # noqa: PLC0415 (heavy)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def _interruptible(work: Coroutine[object, object, T]) -> T:
    _let_through()
    return await work


def _let_through() -> None:
    # What ends in order at Ctrl-C does so at SIGTERM, which `timeout` and service managers send: no half file stays.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _report(label: str, lines: list[str]) -> None:
    for line in lines:
        _print(f"{label}  Settings: {line}")


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201 (for a terminal)


def _say(text: str) -> None:
    try:
        print(f"coverbot: {text}", file=sys.stderr, flush=True)  # noqa: T201 (for a terminal)
    except OSError:  # nobody hears it; the exit code tells
        _let_go(sys.stderr)


def _reason_of_silence() -> OSError | None:
    """Return why nothing can be printed, None where that is not what went wrong."""
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except OSError as error:
        _let_go(sys.stdout)
        return error
    return None


def _let_go(stream: TextIO) -> None:
    """Lead what nobody takes into nothing, else Python complains at its end, with an exit code of its own."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _confirms(question: str) -> bool:
    if sys.stdin is None or not sys.stdin.isatty():  # None where it was closed
        return False
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 63):
        raise argparse.ArgumentTypeError("an id is a number of 17 to 20 digits")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 30 * 86400:
        raise argparse.ArgumentTypeError("must be a number of seconds, at most 30 days")
    return seconds


_COMMANDS = {
    "run": _run,
    "demo": _demo,
    "play": _play,
    "check": _check,
    "setup": _setup,
    "invite": _invite,
    "backup": _backup,
    "restore": _restore,
    "export": _export,
    "health": _health,
    "migrate-database": _migrate_database,
}
