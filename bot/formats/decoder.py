"""The decoder: a confined child process, for decoders are where hostile files do their harm.

A child works on one file, gives its memory back when it ends, can be killed, and is confined: little memory (where the
system can bound it; macOS cannot), little time, a file that cannot grow, none of the bot's environment, and no way to
open a file or a socket after its two files. PyAV is imported there alone.

Each kind of work is a module that is run as a program: `python -m bot.formats.transcode`,
`python -m bot.formats.pictures`.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import pkgutil
import signal
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, cast
from weakref import WeakKeyDictionary

from bot.formats.fetched import part_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from av.container import InputContainer

CHILDREN: Final = 2
"""How many files are decoded at once; more would only take the cores from each other."""

MEMORY_BYTES: Final = 1024**3
_NICENESS: Final = 10
_MAX_ANSWER_BYTES: Final = 4096
_MAX_REASON_CHARACTERS: Final = 200
# What the child keeps of the environment: what its interpreter and libraries need to start, and no token.
_ENVIRONMENT: Final = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PYTHONHOME")

# A semaphore belongs to the event loop in which it was first waited for.
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class DecodeError(Exception):
    """A file that could not be decoded or written anew. `reason` is one line for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Made(NamedTuple):
    """What a child has written: how many bytes, and a number that says how good it got."""

    number: int
    size: int


async def decode(
    module: str,
    source: Path,
    destination: Path,
    budget: int,
    *,
    timeout: float,  # noqa: ASYNC109 - counted from the start of the work, which only this function knows
) -> Made | None:
    """Let a child do a module's work on a file; None where nothing of at most `budget` bytes can be made.

    `destination` may be `source`; it appears only when it is whole. `timeout` bounds the work in seconds, not the wait
    for its turn. Raises DecodeError for the file's faults, and OSError for the own system's: `destination` cannot
    be made, or no process started.
    """
    async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(CHILDREN)):
        part = part_of(destination)
        # Made here, so that a child that is being killed cannot bring it back.
        part.touch(exist_ok=False)
        try:
            command = _command(module, source, part, budget, timeout)
            number = _number_in(*await _run(command, _environment(), timeout))
            return None if number is None else _publish(part, destination, budget, number)
        finally:
            part.unlink(missing_ok=True)


def _publish(part: Path, destination: Path, budget: int, number: int) -> Made:
    size = part.stat().st_size
    if not 0 < size <= budget:
        raise DecodeError(f"{size} bytes where {budget} were allowed")
    part.replace(destination)
    return Made(number, size)


async def _run(command: list[str], environment: dict[str, str], seconds: float) -> tuple[int, bytes]:
    """Run the child to its end, or kill it; return its exit status and what it wrote."""
    try:
        async with asyncio.timeout(seconds) as clock:
            child = await _start(command, environment)
            output = cast("asyncio.StreamReader", child.stdout)
            try:
                answer = await _read(output)
                return await child.wait(), answer
            finally:
                if child.returncode is None:
                    child.kill()
                    # asyncio sees a process end only when its pipes have been read to their ends.
                    await _read(output)
                    await child.wait()
    except TimeoutError:
        if not clock.expired():
            raise
        raise DecodeError(f"not finished within {seconds:g} s") from None


async def _start(command: list[str], environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )


def _command(module: str, source: Path, part: Path, budget: int, timeout: float) -> list[str]:
    paths = (str(source.absolute()), str(part.absolute()))
    return [sys.executable, "-P", "-m", module, *paths, str(budget), str(math.ceil(timeout))]


def _environment() -> dict[str, str]:
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # glibc would reserve 64 MiB for each of libavfilter's threads, of which there are up to 16.
    environment["MALLOC_ARENA_MAX"] = "1"
    # The child finds the same modules as the bot, whatever directory that was started in.
    environment["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    return environment


async def _read(output: asyncio.StreamReader) -> bytes:
    """Return the first bytes of an output that is read to its end."""
    answer = b""
    while piece := await output.read(_MAX_ANSWER_BYTES):
        answer = (answer + piece)[:_MAX_ANSWER_BYTES]
    return answer


def _number_in(status: int, answer: bytes) -> int | None:
    """Return the number in the child's answer, None if nothing fits; raises DecodeError for all else."""
    if status < 0:
        raise DecodeError(f"killed: {signal.strsignal(-status)}")
    try:
        match json.loads(answer):
            case {"error": str(reason)}:
                raise DecodeError(ascii(" ".join(reason.split()))[1:-1][:_MAX_REASON_CHARACTERS])
            case {"number": int() | None as number} if status == 0:
                return number
    except ValueError:
        pass
    raise DecodeError(f"ended with status {status} and no answer")


# From here on: what happens in the child.


def open_media(source: BinaryIO, formats: str, decoders: str) -> InputContainer:
    """Open a file in one of the named formats, whatever its beginning is, for the named decoders alone.

    FFmpeg knows hundreds of formats, playlists that name other files among them; none but these gets to see a byte
    more than it takes to recognise it.
    """
    import av  # noqa: PLC0415 - in the child alone

    source.seek(0)
    options = {"format_whitelist": formats, "codec_whitelist": decoders}
    # Tags in other encodings than UTF-8 are no reason to fail; from release 19 on, PyAV need not be told.
    lenient: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
    container: InputContainer = av.open(source, "r", options=options, io_open=_refuse, **lenient)
    return container


def _refuse(*_: object) -> BinaryIO:
    raise DecodeError("the file refers to another file")


def confine(written: int, seconds: int) -> None:
    """Take from this process, for good, what decoding and encoding do not need."""
    import resource  # noqa: PLC0415 - POSIX only

    with suppress(ValueError, OSError):  # macOS refuses to bound a process's memory
        _bound(resource.RLIMIT_AS, MEMORY_BYTES)
    _bound(resource.RLIMIT_CPU, seconds)
    _bound(resource.RLIMIT_FSIZE, written)
    _bound(resource.RLIMIT_CORE, 0)
    # No descriptor can be opened any more: no file, no socket.
    _bound(resource.RLIMIT_NOFILE, 0)


def _bound(limit: int, value: int) -> None:
    import resource  # noqa: PLC0415 - POSIX only

    hard = resource.getrlimit(limit)[1]
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (bound, bound))


def _import_all(package: str) -> None:
    """Import all modules of a package, for those that it would import when first used cannot be opened later."""
    for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


def main(arguments: list[str], work: Callable[[BinaryIO, BinaryIO, int, Callable[[], bool]], int | None]) -> int:
    """Do work for the bot that started this process; the answer is one line of JSON on the standard output.

    `work` reads a file, writes another of at most so many bytes, and returns a number that says how good it got, None
    if nothing fits. It asks now and then whether to stop, and raises DecodeError or what PyAV raises for broken files.
    """
    source, part, budget, seconds = Path(arguments[0]), Path(arguments[1]), int(arguments[2]), int(arguments[3])
    parent = os.getppid()
    os.nice(_NICENESS)
    _import_all("av")
    answer: dict[str, object]
    try:
        with source.open("rb") as reader, part.open("r+b") as writer:
            confine(2 * budget, seconds)
            answer = {"number": work(reader, writer, budget, lambda: os.getppid() != parent)}
    except DecodeError as error:
        answer = {"error": error.reason}
    except Exception as error:  # Codecs and parsers of foreign bytes raise anything; the bot gets one line.
        answer = {"error": f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"}
    if os.getppid() != parent:
        part.unlink(missing_ok=True)
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0
