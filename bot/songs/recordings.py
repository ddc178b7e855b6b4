"""New versions of members' own recordings: what VidGo would not take is refused before anything is ordered.

VidGo fetches a recording where the member has put it, from Discord. That address lives for about a day, and the member
may delete the file: so where VidGo can reach the listener it gets an address there, and the archive keeps the recording
until its order ends. Else it is looked at and not kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bot.fetching.fetch import Fetcher, FetchError, FetchProblem
from bot.formats.fetched import Fetched
from bot.formats.lengths import duration_of
from bot.media.links import FETCH_SECONDS, Links
from bot.servers.limits import Limits
from bot.songs.orders import Ordered, Requester, order
from bot.songs.performances import performance_name
from bot.tasks.new import new_task, order_key
from bot.vidgo import CoverAudio
from bot.words import recordings as words
from bot.words.sentences import errors
from bot.words.sentences.errors import MemberError
from bot.words.text import Text, clean
from storage.archive.archive import Archive
from storage.archive.index import AUDIO
from storage.database import Database, Snapshot, Transaction
from storage.ids import is_id, new_id
from storage.notifications import drafts
from storage.notifications.drafts import Draft, Making
from storage.servers import settings as servers
from storage.songs import files as file_rows
from storage.songs import recordings
from storage.songs.files import File
from storage.songs.recordings import RECORDING_SECONDS, Recording
from storage.tasks import Task

log = logging.getLogger(__name__)

HEARD_AT_ONCE = 8
"""How many recordings are looked at at once; each is on the disk meanwhile."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a member has put into Discord: how it is called, where it is, and how large in bytes."""

    name: str
    url: str
    size: int


@dataclass(frozen=True, slots=True)
class _Heard:
    """A recording that was looked at."""

    fetched: Fetched
    seconds: float
    digest: str


class Recordings:
    """Orders new versions of members' own recordings."""

    def __init__(
        self,
        database: Database,
        fetcher: Fetcher,
        archive: Archive,
        links: Links,
        limits: Limits,
        *,
        version: str,
        directory: Path,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._fetcher = fetcher
        self._archive = archive
        self._links = links
        self._limits = limits
        self._version = version
        self._directory = directory
        self._clock = clock
        self._turns = asyncio.Semaphore(HEARD_AT_ONCE)

    async def ask_style(self, user_id: int, guild_id: int | None, upload: Upload) -> str:
        """Keep where a recording is while a form asks for its style, and return the recording's id.

        Raises `MemberError` where it is too large, or the server's managers want no recordings.
        """
        self._check_size(upload)
        async with self._database.write(durable=False) as transaction:
            await _check_allowed(transaction, guild_id)
            return await self._note(transaction, user_id, upload)

    async def keep(self, requester: Requester, upload: Upload, style: str) -> None:
        """Keep a recording and what was typed for it, for the order of it and to be tried again."""
        async with self._database.write(durable=False) as transaction:
            recording_id = await self._note(transaction, requester.user_id, upload)
            draft = Draft(Making.RECORDING, recording_id, style=style, title=upload.name)
            await drafts.keep(transaction, requester.notification_id, draft)

    async def keep_style(self, requester: Requester, recording_id: str, style: str) -> None:
        """Keep what was typed for a recording of which it is known where it is; raises `MemberError`."""
        async with self._database.write(durable=False) as transaction:
            found = await self._known(transaction, requester.user_id, recording_id)
            draft = Draft(Making.RECORDING, found.id, style=style, title=found.name)
            await drafts.keep(transaction, requester.notification_id, draft)

    async def perform_known(self, requester: Requester, recording_id: str, style: str) -> Ordered:
        """Order a new version of a recording of which it is known where it is, or join the order for the same.

        Raises `MemberError` where that is not known any more, it is no recording that VidGo takes or cannot be had,
        the server's managers want none, or a limit is reached.
        """
        async with self._database.read() as snapshot:
            found = await self._known(snapshot, requester.user_id, recording_id)
            await _check_allowed(snapshot, requester.guild_id)
        return await self._perform(requester, Upload(found.name, found.url, found.size), style)

    async def _known(self, snapshot: Snapshot, user_id: int, recording_id: str) -> Recording:
        found = await recordings.get(snapshot, recording_id) if is_id(recording_id) else None
        is_known = found is not None and found.created_at >= self._clock() - RECORDING_SECONDS
        if found is None or found.user_id != user_id or not is_known:
            raise MemberError(words.no_longer_known())
        return found

    async def _note(self, transaction: Transaction, user_id: int, upload: Upload) -> str:
        now = self._clock()
        recording = Recording(new_id(now), user_id, upload.name, upload.url, upload.size, now)
        await recordings.add(transaction, recording)
        return recording.id

    async def _perform(self, requester: Requester, upload: Upload, style: str) -> Ordered:
        wanted = clean(style, words.STYLE_LIMIT)
        if not wanted:
            raise MemberError(errors.no_style())
        self._check_size(upload)
        async with self._hear(upload, CoverAudio.longest_source(self._version)) as heard:
            who = requester.user_id, requester.guild_id
            key = order_key(CoverAudio.model, "recording", *who, heard.digest, wanted.casefold())
            task = self._new_task(requester, upload, wanted, key)
            kept: File | None = None
            async with self._database.write(durable=False) as transaction:
                await _check_allowed(transaction, requester.guild_id)
                ordered = await order(transaction, self._limits, requester, task, upload.name)
                if not ordered.joined and task.request["upload_url"] != upload.url:
                    kept = _file_of(task, upload, heard)
                    await file_rows.add(transaction, [kept])
            if kept is not None:
                await self._keep(kept, heard.fetched)
        return ordered

    def _new_task(self, requester: Requester, upload: Upload, style: str, key: str) -> Task:
        request = CoverAudio(upload_url=upload.url, style=style, title=upload.name, mv=self._version)
        made = new_task(
            request,
            now=self._clock(),
            user_id=requester.user_id,
            guild_id=requester.guild_id,
            title=performance_name(upload.name, style),
            order_key=key,
        )
        link = self._links.make(made, file_rows.RECORDING, FETCH_SECONDS) if self._archive.is_on else None
        if link is not None:
            made = replace(made, request=made.request | {"upload_url": link[0]})
        return replace(made, recording=upload.name)

    async def _keep(self, file: File, fetched: Fetched) -> None:
        """Bring a recording into the archive; what cannot be kept is fetched from Discord when VidGo asks for it."""
        try:
            await self._archive.put(await asyncio.to_thread(fetched.store), file, AUDIO, fetched.kind.value)
        except OSError as error:
            log.warning("task %s: its recording cannot be kept: %s", file.task_id, error)

    def _check_size(self, upload: Upload) -> None:
        if upload.size > self._fetcher.max_bytes:
            raise MemberError(words.too_large(upload.name, self._fetcher.max_bytes))

    @asynccontextmanager
    async def _hear(self, upload: Upload, longest: float) -> AsyncIterator[_Heard]:
        """Have a recording that VidGo takes at hand, which is told by its content alone; raises `MemberError`."""
        async with self._turns:
            with tempfile.TemporaryDirectory(dir=self._directory, ignore_cleanup_errors=True) as name:
                try:
                    fetched = await self._fetcher.fetch(upload.url, Path(name) / "recording")
                except FetchError as error:
                    raise MemberError(self._explain(error, upload)) from None
                if not fetched.kind.is_audio:
                    raise MemberError(words.not_audio(upload.name))
                seconds, digest = await asyncio.to_thread(_measured, fetched)
                if seconds is None:
                    raise MemberError(words.of_unknown_length(upload.name))
                if seconds > longest:
                    raise MemberError(words.too_long(upload.name, longest))
                yield _Heard(fetched, seconds, digest)

    def _explain(self, error: FetchError, upload: Upload) -> Text:
        if error.kind is FetchProblem.TOO_LARGE:
            return words.too_large(upload.name, self._fetcher.max_bytes)
        if error.kind is FetchProblem.NO_FILE:
            return words.not_audio(upload.name)
        return words.not_fetched(upload.name)


async def _check_allowed(snapshot: Snapshot, guild_id: int | None) -> None:
    if not (await servers.get(snapshot, guild_id)).recordings:
        raise MemberError(words.switched_off())


def _file_of(task: Task, upload: Upload, heard: _Heard) -> File:
    """Return the row of a recording that is kept for as long as its task lives."""
    return File(
        task_id=task.id,
        position=file_rows.RECORDING,
        audio_url=upload.url,
        image_urls=[],
        title=upload.name,
        tags="",
        duration=heard.seconds,
        audio_id=None,
    )


def _measured(fetched: Fetched) -> tuple[float | None, str]:
    with fetched.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return duration_of(fetched.path), digest
