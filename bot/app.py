"""Builds the parts of the running program, runs them and shuts them down in order."""

from __future__ import annotations

import asyncio
import errno
import logging
import random
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import discord
from sqlalchemy.exc import DBAPIError

from bot.answers.acknowledgements import Acknowledgements, make_acknowledger
from bot.answers.interactions import Interactions
from bot.fetching.fetch import Fetcher
from bot.gateway.client import PERMISSIONS, Client, UseCases
from bot.gateway.login import log_in, stay_connected
from bot.gateway.pauses import GlobalPause, watch_pauses
from bot.gateway.shards import Shards, open_shards
from bot.media.archiver import Archiver, make_archiver
from bot.media.files import Files
from bot.media.folders import posting_folder
from bot.media.links import Links
from bot.media.sources import Sources
from bot.media.store import make_store
from bot.metrics import Metrics
from bot.refusals import CLOSES, LOGIN_REFUSED, SHARDS_REFUSED
from bot.replies.abandoned import Abandoned
from bot.replies.delivery import Delivery, make_delivery_worker
from bot.replies.expiry import make_expiry
from bot.replies.pictures import Pictures, make_pictures
from bot.replies.posting import Posting
from bot.replies.posts import Composer
from bot.servers.alarms import Alarms, make_alarms
from bot.servers.conditions import Conditions
from bot.servers.limits import Limits
from bot.servers.onboarding import Onboarding, make_onboarding
from bot.servers.report import UsageReport
from bot.servers.settings import ServerSettings
from bot.servers.watch import Watch, make_watch
from bot.settings import Settings, SettingsError
from bot.shutdown import Deadline, ignore_signals, stop_requested
from bot.songs.covers import Covers
from bot.songs.drafts import Drafts
from bot.songs.finding import Songs
from bot.songs.library import Library
from bot.songs.performances import Performances
from bot.songs.playing import Playing
from bot.songs.posted import Posted
from bot.songs.recordings import Recordings
from bot.tasks.ending import Ending
from bot.tasks.pace import shared_pace
from bot.tasks.poller import make_poller
from bot.tasks.reading import Reading
from bot.tasks.schedule import Schedule
from bot.tasks.submission import Submission
from bot.vidgo import VidGo
from bot.vidgo.answers import Question
from bot.vidgo.client import Seen
from bot.vidgo.errors import Withheld, outcome_of
from bot.web.addresses import show_address
from bot.web.figures import Exposition
from bot.web.listener import Listener
from bot.worker import Worker
from storage.archive.archive import Archive
from storage.archive.store import StoreRefused
from storage.database import Database, DatabaseError, is_postgresql
from storage.sqlite.opening import hold_alone, reason_of

log = logging.getLogger(__name__)

STALLED_SECONDS = 60.0
"""A worker that has not turned for so long beyond its rest makes the program unready."""

SWITCH_SECONDS = 0.0005
"""After how long a thread that works lets another one on, where that waits."""

CONNECTIONS = 512
"""How many requests to VidGo may be under way: more than its rate and their patience allow."""

MAX_HEADER_BYTES = 64 * 1024
"""How long a line of VidGo's headers may be; an answer that is refused for its header is an order that is lost."""

MAX_HEADERS = 1000
"""How many there may be, for the same reason."""

RESERVED_SECONDS = 4.5
"""What work under way leaves of a shutdown's time to the connections that it needs."""

COMMAND_SECONDS = 1.0
"""What of that is left to the commands that came last."""


class Failed(Exception):  # noqa: N818 (a word says what happened)
    """The program cannot go on; the text is a sentence for the owner."""


async def run(settings: Settings, *, clock: Callable[[], float] = time.time, rng: random.Random | None = None) -> None:
    """Run until SIGINT or SIGTERM, then shut down in order.

    Both signals may be blocked before, and are ignored after. Raises `SettingsError` for a setting that turns out to be
    wrong, and `Failed` when the program cannot go on.
    """
    # A thread that has waited for the disk would wait 5 ms more for the interpreter while this one works.
    sys.setswitchinterval(SWITCH_SECONDS)
    stop = stop_requested()
    stack = AsyncExitStack()
    connection: asyncio.Task[None] | None = None
    building = asyncio.create_task(_build(settings, stack, clock, rng or random.Random()))  # noqa: S311 (jitter)
    try:
        if await _done_before(building, stop):
            connection = asyncio.create_task(_connect(building.result(), settings))
            if await _done_before(connection, stop):
                _explain_end(connection, settings)
        log.info("shutting down")
    finally:
        await _shut_down(Deadline(exit_code=0 if stop.is_set() else 1), stack, building, connection)
        ignore_signals()


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is started and stopped."""

    database: Database
    client: Client
    shards: Shards
    pause: GlobalPause | None
    vidgo: VidGo
    submission: Submission
    watch: Worker
    workers: list[Worker]


async def _build(settings: Settings, stack: AsyncExitStack, clock: Callable[[], float], rng: random.Random) -> _Parts:
    """Make the parts and start to listen; the stack closes what the parts stand on."""
    database = await _open_database(settings, stack)
    try:
        return await _assemble(database, settings, stack, database.clock(clock), rng)
    except DBAPIError as error:  # its disk has become full, or its server has gone, since it was opened
        raise SettingsError(f"DATABASE_URL: {database.explain(error)}") from error


async def _assemble(
    database: Database, settings: Settings, stack: AsyncExitStack, clock: Callable[[], float], rng: random.Random
) -> _Parts:
    """Make the parts, each from those above it.

    It is long, for it is one list without a decision: cut in pieces, each piece would hand the same dozen parts on, and
    the order would be seen nowhere.
    """
    directory = await asyncio.to_thread(posting_folder, settings, stack.enter_context(ExitStack()))
    metrics = Metrics(settings.name_in_metrics)
    conditions = Conditions(database.wakeups, clock, warning=settings.credits_warning)
    vidgo = await _open_vidgo(database, settings, stack, clock, partial(_see, metrics, conditions))
    fetcher = Fetcher(allow_private=settings.media_allow_private_hosts, max_bytes=settings.media_max_bytes)
    stack.push_async_callback(fetcher.close)
    archive = await _open_archive(database, settings, clock)
    stack.push_async_callback(archive.close)
    trace = _guarded(metrics.discord_trace(), database, settings)
    client = Client(settings, lambda: _account(vidgo, archive), trace)
    pause = watch_pauses(client, database, trace)
    files = Files(archive, Sources(database, fetcher, client.find_post), directory)
    stack.push_async_callback(files.close)
    links = Links(settings, clock)
    schedule = Schedule(database, settings, clock=clock, rng=rng)
    ending = Ending(database, clock=clock, metrics=metrics)
    submission = Submission(database, vidgo, ending, schedule, settings, clock=clock, metrics=metrics)
    reading = Reading(database, vidgo, submission, ending, schedule, settings, clock=clock, metrics=metrics)
    limits = Limits(database, settings, clock)
    version = settings.vidgo_music_version
    songs = Songs(database, vidgo, ending, limits, clock, version=version)
    covers = Covers(database, songs, limits, clock, client.find_post)
    performances = Performances(
        database, songs, files, links, limits, version=version, directory=directory, clock=clock
    )
    recordings = Recordings(
        database, fetcher, archive, links, limits, version=version, directory=directory, clock=clock
    )
    acknowledgements = Acknowledgements(database, client, schedule, submission, clock)
    onboarding = Onboarding(database, client, PERMISSIONS, clock)
    client.use_cases = UseCases(
        database=database,
        interactions=Interactions(database, acknowledgements, clock, settings.support_url),
        limits=limits,
        servers=ServerSettings(database, limits, clock),
        report=UsageReport(database, limits, clock),
        support_url=settings.support_url,
        acknowledgements=acknowledgements,
        songs=songs,
        covers=covers,
        performances=performances,
        drafts=Drafts(database, songs, covers, performances, recordings),
        posted=Posted(database, performances, limits, clock, version=version),
        recordings=recordings,
        library=Library(database, songs, archive, clock),
        playing=Playing(database, songs, files),
        onboarding=onboarding,
        directory=directory,
    )
    posting, composer = Posting(client, clock, settings.support_url), Composer(database, files, links, clock)
    delivery = Delivery(
        database,
        posting,
        composer,
        Abandoned(database, client, acknowledgements, clock, settings.support_url),
        directory=directory,
        clock=clock,
        metrics=metrics,
    )
    archiver = Archiver(database, archive, files, directory=directory, clock=clock, metrics=metrics)
    workers = [
        make_poller(database, reading, schedule, clock),
        make_delivery_worker(delivery, database, clock),
        make_archiver(archiver, database, clock),
        make_pictures(Pictures(database, posting, composer, directory=directory), database, clock),
        make_acknowledger(acknowledgements, database, clock),
        make_expiry(database, clock),
        make_alarms(Alarms(database, client, settings.owner_ids or (), clock), database, clock),
        make_onboarding(onboarding, database, clock),
    ]
    places = [directory, *([settings.archive_dir] if archive.is_on and settings.archive_url is None else [])]
    watching = Watch(database, vidgo, conditions, places, clock)
    watch = make_watch(watching, database, clock)
    await database.join(clock)
    await watching.take_over()
    workers.append(watch)
    parts = _Parts(database, client, open_shards(client, settings, database), pause, vidgo, submission, watch, workers)
    not_ready = partial(_not_ready, parts)
    exposition = Exposition(
        metrics,
        database,
        archive,
        vidgo,
        files,
        workers,
        not_ready=not_ready,
        servers=lambda: len(client.guilds) if client.is_ready() else None,
        shards=lambda: client.sessions,
        clock=clock,
    )
    stack.callback(exposition.stop)
    listener = Listener(
        settings,
        database,
        reading,
        clock=clock,
        metrics=metrics,
        exposition=exposition,
        links=links,
        files=files,
        directory=directory,
        not_ready=not_ready,
        stands_by=lambda: parts.shards.stands_by,
    )
    await _listen(listener, settings)
    stack.push_async_callback(listener.stop)
    return parts


def _guarded(trace: aiohttp.TraceConfig, database: Database, settings: Settings) -> aiohttp.TraceConfig:
    """Let no request out while others may have taken over what this process holds; with SQLite nobody could."""

    async def check(*_: object) -> None:
        if not database.may_act:
            raise Withheld(errno.ECONNABORTED, "this process could not renew its lease")

    if is_postgresql(settings.database_url):
        trace.on_request_start.append(check)
        # Again right before a byte leaves: a process may have been stopped while it connected.
        trace.on_request_headers_sent.append(check)
    return trace


def _see(metrics: Metrics, conditions: Conditions, question: Question, error: BaseException | None) -> None:
    """Count what came of a request to VidGo, and see what it says of the account."""
    request = Question.SUBMIT if question.is_submission else question
    metrics.vidgo_requests.labels(request.value, outcome_of(error)).inc()
    conditions.see_request(question, error)


async def _open_vidgo(
    database: Database, settings: Settings, stack: AsyncExitStack, clock: Callable[[], float], seen: Seen
) -> VidGo:
    trace = _guarded(aiohttp.TraceConfig(), database, settings)
    sessions = [
        await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, force_close=force_close),
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=MAX_HEADER_BYTES,
                max_field_size=MAX_HEADER_BYTES,
                max_headers=MAX_HEADERS,
                trace_configs=[trace] if trace.on_request_start else [],
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
        pace=shared_pace(database, settings.vidgo_requests_per_second),
        clock=clock,
        seen=seen,
    )


async def _done_before(task: asyncio.Task[Any], stop: asyncio.Event) -> bool:
    """Wait for a task or for the wish to stop, and return whether the task was done without it."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    return task.done() and not stop.is_set()


async def _connect(parts: _Parts, settings: Settings) -> None:
    """Log in, begin to work, and stay connected."""
    parts.watch.start()  # what is wrong with the account is said even where Discord is out of reach
    await log_in(parts.client, settings)
    for worker in parts.workers:
        if worker is not parts.watch:
            worker.start()
    pausing = None if parts.pause is None else asyncio.create_task(parts.pause.run(), name="pauses")
    try:
        await stay_connected(parts.client, parts.shards.run(), settings, lambda: parts.database.leads)
    finally:
        if pausing is not None:
            pausing.cancel()


def _account(vidgo: VidGo, archive: Archive) -> str:
    """Say what VidGo's account and the archive hold, as far as that is known."""
    known = [] if vidgo.credits is None else [f"{vidgo.credits:g} credits"]
    known.append(f"{archive.size / 1e6:,.0f} MB in the archive" if archive.is_on else "no archive")
    return ", ".join(known)


async def _shut_down(
    deadline: Deadline,
    stack: AsyncExitStack,
    building: asyncio.Task[_Parts],
    connection: asyncio.Task[None] | None,
) -> None:
    """End the work under way, then the connection that it needs, then what both stand on."""
    if connection is not None:
        parts = building.result()
        await deadline.end("the work under way", _end_work(parts, deadline), reserve=RESERVED_SECONDS - 0.5)
        await deadline.end("the connection to Discord", parts.client.close(), reserve=2.5)
        await parts.client.http.close()
        await deadline.end("the way to Discord", _cancel(connection), reserve=2.5)
        await deadline.end("the lease of shards", parts.shards.end(), reserve=2.5)
    else:
        await deadline.end("the start", _cancel(building), reserve=2.5)
    await deadline.end("what the program stands on", stack.aclose())


async def _end_work(parts: _Parts, deadline: Deadline) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + deadline.left(reserve=RESERVED_SECONDS)
    workers = asyncio.gather(*(worker.stop(until) for worker in parts.workers))
    # Commands come until a successor has them.
    await parts.shards.hand_over(until - COMMAND_SECONDS)
    parts.vidgo.stop()
    await asyncio.gather(
        parts.client.end_commands(max(until - loop.time(), 0.0)), parts.submission.stop(until), workers
    )


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _open_database(settings: Settings, stack: AsyncExitStack) -> Database:
    try:
        if not is_postgresql(settings.database_url):
            # Two programs on one file would post and order everything twice.
            stack.enter_context(hold_alone(settings.database_url))
        database = await Database.open(settings.database_url, settings.database_server)
    except DatabaseError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from error
    stack.push_async_callback(database.close)
    return database


async def _open_archive(database: Database, settings: Settings, clock: Callable[[], float]) -> Archive:
    try:
        archive = Archive(database, make_store(settings), settings.archive_max_bytes, clock)
        await archive.open()
    except StoreRefused as error:
        raise SettingsError(f"ARCHIVE_URL cannot be used: {error}") from None
    except OSError as error:
        raise SettingsError(f"ARCHIVE_DIR cannot be used: {reason_of(error)}") from error
    return archive


async def _listen(listener: Listener, settings: Settings) -> None:
    try:
        port = await listener.start()
    except OSError as error:
        where = show_address(settings.listen_host, settings.listen_port)
        raise SettingsError(f"LISTEN_HOST/LISTEN_PORT: cannot listen on {where}: {error.strerror}") from error
    log.info("listening on %s", show_address(settings.listen_host, port))


def _not_ready(parts: _Parts) -> dict[str, str]:
    problems = {worker.name: worker.problem(STALLED_SECONDS) for worker in parts.workers}
    reasons = {name: problem for name, problem in problems.items() if problem is not None}
    if not parts.database.may_act:
        reasons["lease"] = "could not be renewed"
    discord_reason = parts.shards.not_ready()
    return reasons if discord_reason is None else {**reasons, "discord": discord_reason}


def _explain_end(gateway: asyncio.Task[None], settings: Settings) -> None:
    error = gateway.exception()
    if isinstance(error, SettingsError | Failed):
        raise error
    if isinstance(error, discord.PrivilegedIntentsRequired):
        raise Failed("Discord demands privileged intents that this bot does not use") from error
    if isinstance(error, discord.ConnectionClosed):
        if error.code == 4004:
            raise SettingsError(LOGIN_REFUSED)
        if error.code in (4010, 4011) and settings.shard_count is not None:
            raise SettingsError(SHARDS_REFUSED)
        reason = CLOSES.get(error.code, f"Discord closed it with the code {error.code}")
    else:
        reason = "closed" if error is None else type(error).__name__
    raise Failed(f"the connection to Discord ended: {reason}") from error
