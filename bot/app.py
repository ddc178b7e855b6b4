"""Builds the parts of the running program, runs them and shuts them down in order."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import discord
from sqlalchemy import make_url

from bot.client import Client, UseCases
from bot.media.fetch import Fetcher
from bot.media.files import Archiving, Files, make_archiver
from bot.media.links import Links
from bot.metrics import Metrics
from bot.replies.abandoned import Abandoned
from bot.replies.acknowledgements import Acknowledgements, make_acknowledger
from bot.replies.delivery import Delivery, make_delivery_worker
from bot.replies.expiry import make_expiry
from bot.replies.interactions import Interactions
from bot.replies.posting import Posting
from bot.replies.posts import Composer
from bot.settings import Settings, SettingsError
from bot.songs.covers import Covers
from bot.songs.finding import Songs
from bot.songs.library import Library
from bot.songs.performances import Performances
from bot.tasks.ending import Ending
from bot.tasks.owner import OwnerNotices
from bot.tasks.poller import make_poller
from bot.tasks.reading import Reading
from bot.tasks.schedule import Schedule
from bot.tasks.submission import Submission
from bot.vidgo import VidGo
from bot.web.listener import Listener
from bot.worker import Worker
from storage import notifications
from storage import tasks as rows
from storage.archive.disk import Archive
from storage.database import Database, DatabaseError, hold_alone

log = logging.getLogger(__name__)

STALLED_SECONDS = 60.0
"""A worker that has not turned for so long beyond its rest makes the program unready."""

SWITCH_SECONDS = 0.0005
"""After how long a thread that works lets another one on, where that waits."""

LOGIN_PAUSES = (2.0, 5.0, 15.0, 60.0)

CONNECTIONS = 512
"""How many requests to VidGo may be under way: more than its rate and their patience allow."""

MAX_HEADER_BYTES = 64 * 1024
"""How long a line of VidGo's headers may be; an answer that is refused for its header is an order that is lost."""

GRACE_SECONDS = 5.0
"""How long work under way may take at a shutdown; Docker kills after 10 s."""


class Failed(Exception):  # noqa: N818 (a word says what happened)
    """The program cannot go on; the text is a sentence for the owner."""


async def run(settings: Settings, *, clock: Callable[[], float] = time.time, rng: random.Random | None = None) -> None:
    """Run until SIGINT or SIGTERM, then shut down in order.

    Raises `SettingsError` for a setting that turns out to be wrong, and `Failed` when the program cannot go on.
    """
    # A thread that has waited for the disk would wait 5 ms more for the interpreter while this one works.
    sys.setswitchinterval(SWITCH_SECONDS)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        parts = await _build(settings, stack, clock, rng or random.Random())  # noqa: S311 (jitter)
        connection = asyncio.create_task(_connect(parts, settings), name="gateway")
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({connection, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        try:
            if connection.done() and not stop.is_set():
                _explain_end(connection)
            log.info("shutting down")
        finally:
            await _shut_down(parts, connection)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is started and stopped."""

    client: Client
    vidgo: VidGo
    submission: Submission
    workers: list[Worker]


async def _build(settings: Settings, stack: AsyncExitStack, clock: Callable[[], float], rng: random.Random) -> _Parts:
    """Make the parts and start to listen; the stack closes what the parts stand on."""
    database = await _open_database(settings, stack)
    directory = await asyncio.to_thread(_empty_directory, settings)
    vidgo = await _open_vidgo(settings, stack, clock)
    fetcher = Fetcher(allow_private=settings.media_allow_private_hosts, max_bytes=settings.media_max_bytes)
    stack.push_async_callback(fetcher.close)
    archive = await _open_archive(database, settings, clock)
    client = Client(settings)
    files = Files(database, archive, fetcher, client.find_post, directory)
    stack.push_async_callback(files.close)
    links = Links(settings, clock)
    metrics = Metrics()
    schedule = Schedule(database, settings, clock=clock, rng=rng)
    owner = OwnerNotices()
    ending = Ending(database, clock=clock, metrics=metrics)
    submission = Submission(database, vidgo, ending, schedule, owner, settings, clock=clock, metrics=metrics)
    reading = Reading(database, vidgo, submission, ending, schedule, owner, settings, clock=clock, metrics=metrics)
    songs = Songs(database, vidgo, submission, ending, owner, clock)
    acknowledgements = Acknowledgements(database, client, schedule, clock)
    client.use_cases = UseCases(
        database=database,
        interactions=Interactions(database, acknowledgements, clock),
        acknowledgements=acknowledgements,
        songs=songs,
        covers=Covers(database, songs, submission, clock),
        performances=Performances(database, songs, submission, files, links, directory=directory, clock=clock),
        library=Library(database, songs, archive, clock),
        directory=directory,
    )
    delivery = Delivery(
        database,
        Posting(client, clock),
        Composer(database, files, links),
        Abandoned(database, client, acknowledgements, clock),
        directory=directory,
        clock=clock,
        metrics=metrics,
    )
    workers = [
        make_poller(database, reading, schedule, clock),
        make_delivery_worker(delivery, database, clock),
        make_archiver(Archiving(database, archive, files, directory=directory, clock=clock), database, clock),
        make_acknowledger(acknowledgements, database, clock),
        make_expiry(database, clock),
    ]
    async with database.write() as transaction:
        # With SQLite nobody else lives who could be at work on these.
        await rows.wake_orphans(transaction, clock())
        await notifications.wake_orphans(transaction, clock())
    parts = _Parts(client, vidgo, submission, workers)
    listener = Listener(
        settings,
        database,
        reading,
        clock=clock,
        metrics=metrics,
        links=links,
        files=files,
        directory=directory,
        workers=workers,
        not_ready=lambda: _not_ready(parts),
    )
    await _listen(listener, settings)
    stack.push_async_callback(listener.stop)
    return parts


async def _open_vidgo(settings: Settings, stack: AsyncExitStack, clock: Callable[[], float]) -> VidGo:
    sessions = [
        await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, force_close=force_close),
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=MAX_HEADER_BYTES,
                max_field_size=MAX_HEADER_BYTES,
            )
        )
        for force_close in (False, True)
    ]
    return VidGo(
        sessions[0],
        settings.vidgo_api_url,
        settings.vidgo_api_key.get_secret_value(),
        orders=sessions[1],
        requests_per_second=settings.vidgo_requests_per_second,
        clock=clock,
    )


async def _connect(parts: _Parts, settings: Settings) -> None:
    """Log in, however long Discord is out of reach, and stay connected."""
    pauses = itertools.chain(LOGIN_PAUSES, itertools.repeat(LOGIN_PAUSES[-1]))
    while (problem := await _log_in(parts.client, settings)) is not None:
        pause = next(pauses)
        log.warning("Discord cannot be reached (%s); the next try is in %.0f s", problem, pause)
        # discord.py opens a session at each try and leaves the last one open.
        await parts.client.http.close()
        parts.client.http.connector = discord.utils.MISSING
        await asyncio.sleep(pause)
    for worker in parts.workers:
        worker.start()
    await parts.client.connect()


async def _shut_down(parts: _Parts, connection: asyncio.Task[None]) -> None:
    """End the work under way, then the connection that it needs."""
    deadline = asyncio.get_running_loop().time() + GRACE_SECONDS
    parts.vidgo.stop()
    await asyncio.gather(parts.submission.stop(deadline), *(worker.stop(deadline) for worker in parts.workers))
    await parts.client.close()
    connection.cancel()
    await asyncio.gather(connection, return_exceptions=True)


async def _open_database(settings: Settings, stack: AsyncExitStack) -> Database:
    try:
        # Two programs on one file would post and order everything twice.
        stack.enter_context(hold_alone(settings.database_url))
        database = await Database.open(settings.database_url)
    except DatabaseError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from error
    stack.push_async_callback(database.close)
    return database


async def _open_archive(database: Database, settings: Settings, clock: Callable[[], float]) -> Archive:
    archive = Archive(database, settings.archive_dir, settings.archive_max_bytes, clock)
    try:
        await archive.open()
    except OSError as error:
        raise SettingsError(f"ARCHIVE_DIR cannot be used: {error.strerror}") from error
    return archive


async def _listen(listener: Listener, settings: Settings) -> None:
    try:
        port = await listener.start()
    except OSError as error:
        where = f"{settings.listen_host}:{settings.listen_port}"
        raise SettingsError(f"LISTEN_HOST/LISTEN_PORT: cannot listen on {where}: {error.strerror}") from error
    log.info("listening on %s:%d", settings.listen_host, port)


async def _log_in(client: Client, settings: Settings) -> str | None:
    """Log in, and return what kept Discord out of reach; raises for what another try cannot mend."""
    try:
        await client.login(settings.discord_token.get_secret_value())
    except discord.LoginFailure as error:
        raise SettingsError("DISCORD_TOKEN is refused by Discord; copy it again from the developer portal") from error
    except discord.Forbidden as error:
        if settings.discord_guild_id is None:
            raise Failed(f"Discord refuses the commands: {error.text}") from error
        raise SettingsError("DISCORD_GUILD_ID names a server that the bot is not a member of") from error
    except discord.GatewayNotFound as error:
        return type(error).__name__
    except discord.HTTPException as error:
        if error.status < 500:
            raise Failed(f"Discord refuses the commands: {error.status} {error.text}") from error
        return f"HTTP {error.status}"
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return type(error).__name__
    return None


def _empty_directory(settings: Settings) -> Path:
    """Make the place where files wait to be posted, without what an earlier process left there."""
    database = Path(make_url(settings.database_url).database or "coverbot.db")
    directory = database.with_name(f"{database.name}-posting")  # nobody else's folder: it is emptied at each start
    shutil.rmtree(directory, ignore_errors=True)
    try:
        directory.mkdir(parents=True)
    except OSError as error:
        raise SettingsError(f"DATABASE_URL: its directory cannot be used: {directory}: {error.strerror}") from error
    return directory


def _not_ready(parts: _Parts) -> dict[str, str]:
    problems = {worker.name: worker.problem(STALLED_SECONDS) for worker in parts.workers}
    reasons = {name: problem for name, problem in problems.items() if problem is not None}
    discord_reason = parts.client.not_ready()
    return reasons if discord_reason is None else {**reasons, "discord": discord_reason}


def _explain_end(gateway: asyncio.Task[None]) -> None:
    error = gateway.exception()
    if isinstance(error, SettingsError | Failed):
        raise error
    if isinstance(error, discord.PrivilegedIntentsRequired):
        raise Failed("Discord demands privileged intents that this bot does not use") from error
    if isinstance(error, discord.ConnectionClosed) and error.code == 4004:
        raise SettingsError("DISCORD_TOKEN is refused by Discord; copy it again from the developer portal")
    raise Failed(f"the connection to Discord ended: {type(error).__name__}") from error
