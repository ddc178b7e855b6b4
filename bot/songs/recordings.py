"""Members' own recordings, performed anew: what VidGo would not take is refused before anything is ordered.

A recording is looked at and not kept. VidGo fetches it where the member has put it, from Discord.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bot.fetching.fetch import Fetcher, FetchError, FetchProblem
from bot.formats.fetched import Fetched
from bot.formats.lengths import duration_of
from bot.servers.limits import Limits
from bot.songs.orders import Ordered, Requester, order
from bot.songs.performances import performance_name
from bot.tasks.new import new_task, order_key
from bot.vidgo import CoverAudio
from bot.words import recordings as words
from bot.words.sentences import errors
from bot.words.sentences.errors import MemberError
from bot.words.text import Text, clean
from storage.database import Database, Snapshot
from storage.ids import is_id, new_id
from storage.servers import settings as servers
from storage.songs import recordings
from storage.songs.recordings import RECORDING_SECONDS, Recording

HEARD_AT_ONCE = 8
"""How many recordings are looked at at once; each is on the disk meanwhile."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a member has put into Discord: how it is called, where it is, and how large in bytes."""

    name: str
    url: str
    size: int


class Recordings:
    """Orders new versions of members' own recordings."""

    def __init__(
        self,
        database: Database,
        fetcher: Fetcher,
        limits: Limits,
        *,
        version: str,
        directory: Path,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._fetcher = fetcher
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
        now = self._clock()
        recording = Recording(new_id(now), user_id, upload.name, upload.url, upload.size, now)
        async with self._database.write(durable=False) as transaction:
            await _check_allowed(transaction, guild_id)
            await recordings.add(transaction, recording)
        return recording.id

    async def perform_asked(self, requester: Requester, recording_id: str, style: str) -> Ordered:
        """Order what a form was filled in for; raises `MemberError` as `perform`, and where the form is too old."""
        async with self._database.read() as snapshot:
            found = await recordings.get(snapshot, recording_id) if is_id(recording_id) else None
        is_open = found is not None and found.created_at >= self._clock() - RECORDING_SECONDS
        if found is None or found.user_id != requester.user_id or not is_open:
            raise MemberError(words.form_is_old())
        return await self.perform(requester, Upload(found.name, found.url, found.size), style)

    async def perform(self, requester: Requester, upload: Upload, style: str) -> Ordered:
        """Order a new version of a recording, or join the member's own order for the same.

        Raises `MemberError` where it is no recording that VidGo takes or cannot be had, the server's managers want
        none, a limit is reached, or VidGo refuses the order.
        """
        wanted = clean(style, words.STYLE_LIMIT)
        if not wanted:
            raise MemberError(errors.no_style())
        self._check_size(upload)
        async with self._database.read() as snapshot:
            await _check_allowed(snapshot, requester.guild_id)
        request = CoverAudio(upload_url=upload.url, style=wanted, title=upload.name, mv=self._version)
        digest = await self._listen(upload, CoverAudio.longest_source(self._version))
        key = order_key(CoverAudio.model, "recording", requester.user_id, requester.guild_id, digest, wanted.casefold())
        made = new_task(
            request,
            now=self._clock(),
            user_id=requester.user_id,
            guild_id=requester.guild_id,
            title=performance_name(upload.name, wanted),
            order_key=key,
        )
        task = replace(made, recording=upload.name)
        async with self._database.write() as transaction:
            await _check_allowed(transaction, requester.guild_id)
            return await order(transaction, self._limits, requester, task, upload.name)

    def _check_size(self, upload: Upload) -> None:
        if upload.size > self._fetcher.max_bytes:
            raise MemberError(words.too_large(upload.name, self._fetcher.max_bytes))

    async def _listen(self, upload: Upload, longest: float) -> str:
        """Return the hash of a recording that VidGo takes, which is told by its content alone; raises `MemberError`."""
        async with self._turns:
            with tempfile.TemporaryDirectory(dir=self._directory, ignore_cleanup_errors=True) as name:
                try:
                    fetched = await self._fetcher.fetch(upload.url, Path(name) / "recording")
                except FetchError as error:
                    raise MemberError(self._explain(error, upload)) from None
                if not fetched.kind.is_audio:
                    raise MemberError(words.not_audio(upload.name))
                seconds, digest = await asyncio.to_thread(_heard, fetched)
        if seconds is None:
            raise MemberError(words.of_unknown_length(upload.name))
        if seconds > longest:
            raise MemberError(words.too_long(upload.name, longest))
        return digest

    def _explain(self, error: FetchError, upload: Upload) -> Text:
        if error.kind is FetchProblem.TOO_LARGE:
            return words.too_large(upload.name, self._fetcher.max_bytes)
        if error.kind is FetchProblem.NO_FILE:
            return words.not_audio(upload.name)
        return words.not_fetched(upload.name)


async def _check_allowed(snapshot: Snapshot, guild_id: int | None) -> None:
    if not (await servers.get(snapshot, guild_id)).recordings:
        raise MemberError(words.switched_off())


def _heard(fetched: Fetched) -> tuple[float | None, str]:
    with fetched.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return duration_of(fetched.path), digest
