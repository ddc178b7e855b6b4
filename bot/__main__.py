"""The `coverbot` command."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from importlib.metadata import PackageNotFoundError, version

import uvloop

from bot.settings import Settings, SettingsError, load_settings

FINE, FAILED, MISCONFIGURED = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Run one of the program's commands and return its exit code: 0 fine, 1 failed, 2 wrong configuration."""
    options = _parser().parse_args(arguments)
    if options.command == "demo":
        return _demo()
    try:
        settings = load_settings(with_vidgo=options.command != "invite")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(options, settings))
    except SettingsError as error:
        print(f"coverbot: {error}", file=sys.stderr)  # noqa: T201 (for a terminal)
        return MISCONFIGURED
    except KeyboardInterrupt:
        return FINE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="coverbot", description=__doc__)
    parser.add_argument("--version", action="version", version=f"coverbot {_version()}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="connect to Discord and work until stopped")
    commands.add_parser("demo", help="show the whole flow against local stand-ins: no account, no network")
    check = commands.add_parser("check", help="say what is wrong before anything starts")
    check.add_argument("--channel", type=int, metavar="ID", help="also check the permissions in this channel")
    commands.add_parser("invite", help="print the address that invites the bot into a server")
    return parser


async def _run(options: argparse.Namespace, settings: Settings) -> int:
    from bot.logs import set_up_logging  # noqa: PLC0415 (what a command does not need is not loaded)

    set_up_logging(settings)
    if options.command == "run":
        from bot.app import Failed, run  # noqa: PLC0415 (heavy)

        try:
            await run(settings)
        except Failed as error:
            logging.getLogger("coverbot").error("%s", error)
            return FAILED
        return FINE
    from bot.cli.check import Wrong, check, invite  # noqa: PLC0415 (heavy)

    logging.disable()  # the lines below say it all
    if options.command == "check":
        return FINE if await check(settings, options.channel, print) else FAILED
    try:
        print(await invite(settings))  # noqa: T201 (for a terminal)
    except Wrong as error:
        raise SettingsError(str(error)) from None
    return FINE


def _demo() -> int:
    try:
        from sandbox.demo import main as demo  # noqa: PLC0415 (heavy)
    except ModuleNotFoundError as error:
        print(f"coverbot: the demo needs {error.name}; run `make demo` in the source folder", file=sys.stderr)  # noqa: T201 (for a terminal)
        return FAILED
    return demo()


def _version() -> str:
    try:
        return version("coverbot")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
