"""The program `coverbot play`: it opens the stage and the page, prints the address, and ends with Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys

from sandbox.play.server import PageServer
from sandbox.play.stage import open_stage

COVER_SECONDS = 6.0
FINE, FAILED = 0, 1


def main(port: int = 0) -> int:
    """Serve the page until Ctrl-C and return the exit code; `port` 0 takes a free one."""
    try:
        return asyncio.run(_serve(port))
    except KeyboardInterrupt:  # a second Ctrl-C, while the first one was being obeyed
        return FINE


async def _serve(port: int) -> int:
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ending.set)
    try:
        async with open_stage(COVER_SECONDS) as stage:
            server = PageServer(stage, port)
            async with server.open():
                stage.start()
                _say(f"Play with the bot here:  {server.address}")
                _say("It is the real bot; Discord and VidGo are stand-ins on this machine. Ctrl-C ends all of it.")
                await ending.wait()
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    loop.remove_signal_handler(number)
    except (OSError, OverflowError) as error:
        sys.stderr.write(f"coverbot: the page cannot be served: {getattr(error, 'strerror', None) or error}\n")
        return FAILED
    _say("Ended; nothing of it is left.")
    return FINE


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
