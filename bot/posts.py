"""Turns an ended task into the message that its requester gets: words, buttons and files that play."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import discord

from bot import messages
from bot.fetch import Fetched, Fetcher, FetchError, FetchProblem
from bot.media import MediaError, MediaKind, attachment_name, image_is_sane, tag_mp3
from bot.messages import SongDetails
from bot.songs import IMPORTED
from bot.vidgo import CoverArt
from storage import tasks as rows
from storage.database import Database
from storage.notifications import Notification
from storage.schema import TaskStatus
from storage.tasks import File, Task

log = logging.getLogger(__name__)

ARTWORK_BYTES = 8 * 1024 * 1024
"""No picture larger than this is shown; documents speak of 3 MB at most."""

PICTURES_TRIED = 3


@dataclass(frozen=True, slots=True)
class Post:
    """A message ready to be sent. `files` are paths with the names that people see."""

    content: str
    view: discord.ui.View
    embed: discord.Embed | None = None
    files: list[tuple[Path, str]] = field(default_factory=list)
    link: str | None = None


class Composer:
    """Reads a task's files and composes its message."""

    def __init__(self, database: Database, fetcher: Fetcher) -> None:
        self._database = database
        self._fetcher = fetcher

    async def compose(self, notification: Notification, task: Task, directory: Path, *, final: bool) -> Post:
        """Compose what a notification says; its files are written to `directory`.

        Raises `FetchError` when trying again later may help, unless `final` says that there is no later.
        """
        if notification.kind == "late":
            return self._say(notification, messages.late(task))
        if task.status is not TaskStatus.FINISHED:
            return self._say(notification, messages.failure(task))
        async with self._database.read() as connection:
            files = await rows.files_of(connection, task.id)
            originals = await rows.files_of(connection, task.source_id) if task.source_id is not None else []
        audio = next((file for file in files if file.audio_url), None)
        artwork_only = audio is None
        if audio is None:
            audio = next(
                (file for file in originals if file.position == notification.source_position and file.audio_url), None
            )
        pictures = [url for file in files if artwork_only or file is audio for url in file.image_urls]
        try:
            song, cover = await asyncio.gather(
                self._fetch_audio(task, audio, directory), self._fetch_picture(task, pictures, directory)
            )
        except FetchError as error:
            if error.retryable and not final:
                raise
            log.error("task %s: its audio cannot be posted: %s", task.id, error.reason)
            if not artwork_only:
                return self._say(notification, _explain(error, task.title), link=None)
            song, cover = None, await self._fetch_picture(task, pictures, directory)
        if artwork_only and cover is None:
            return self._say(notification, messages.file_lost(task.title))
        details = SongDetails(task.title, "", None)
        if audio is not None:
            details = SongDetails(audio.title or task.title, audio.tags, audio.duration)
        if song is not None and song.kind is MediaKind.MP3 and artwork_only and cover is not None:
            song = await asyncio.to_thread(_with_artwork, song, cover, details, task.id)
        return self._result(notification, task, details, audio, song, cover, artwork_only=artwork_only)

    def without_files(self, notification: Notification, task: Task, post: Post) -> Post:
        """Return the message for a channel that refuses the files' size: a link in their place."""
        embed = post.embed
        if embed is not None:
            embed.set_image(url=None)
        text = messages.file_too_large(task.title)
        return Post(
            content=messages.told(notification.user_id, text),
            view=messages.buttons(notification.id, link=post.link),
            embed=embed,
            link=post.link,
        )

    def _say(self, notification: Notification, text: messages.Text, link: str | None = None) -> Post:
        return Post(
            content=messages.told(notification.user_id, text), view=messages.buttons(notification.id, link=link)
        )

    def _result(
        self,
        notification: Notification,
        task: Task,
        details: SongDetails,
        audio: File | None,
        song: Fetched | None,
        cover: Fetched | None,
        *,
        artwork_only: bool,
    ) -> Post:
        files: list[tuple[Path, str]] = []
        if song is not None:
            files.append((song.path, attachment_name(details.title, song.kind)))
        image = None
        if cover is not None and cover.size <= notification.upload_limit:
            image = f"cover{cover.kind.extension}"
            files.append((cover.path, image))
        link = audio.audio_url if audio is not None else None
        coverable = task.id if task.model not in (CoverArt.model, IMPORTED) else None
        post = Post(
            content=messages.result(
                task, notification.user_id, details, artwork_only=artwork_only, has_audio=song is not None
            ),
            view=messages.buttons(notification.id, cover=coverable),
            embed=messages.card(details, image=image),
            files=files,
            link=link,
        )
        if song is not None and song.size > notification.upload_limit:
            return self.without_files(notification, task, post)
        return post

    async def _fetch_audio(self, task: Task, file: File | None, directory: Path) -> Fetched | None:
        if file is None or file.audio_url is None:
            return None
        fetched = await self._fetcher.fetch(file.audio_url, directory / "audio")
        if not fetched.kind.is_audio:
            raise FetchError(FetchProblem.NOT_MEDIA, f"{fetched.kind} where audio was promised")
        return fetched

    async def _fetch_picture(self, task: Task, urls: Iterable[str], directory: Path) -> Fetched | None:
        """Return the first picture that can be had; a song is not held up for want of one."""
        for number, url in enumerate(list(urls)[:PICTURES_TRIED]):
            try:
                fetched = await self._fetcher.fetch(url, directory / f"picture{number}", max_bytes=ARTWORK_BYTES)
            except FetchError as error:
                log.warning("task %s: a picture cannot be had: %s", task.id, error.reason)
                continue
            if fetched.kind.is_image and await asyncio.to_thread(image_is_sane, fetched.path):
                return fetched
            log.warning("task %s: what should be a picture is %s", task.id, fetched.kind)
        return None


def _with_artwork(song: Fetched, cover: Fetched, details: SongDetails, task_id: str) -> Fetched:
    tagged = song.path.with_name("tagged")
    try:
        tag_mp3(
            song.path, tagged, title=details.title, artist=None, genre=details.tags, artwork=cover.path, comment=None
        )
    except MediaError as error:
        log.warning("task %s: the artwork cannot be written into the file: %s", task_id, error)
        return song
    return replace(song, path=tagged, size=tagged.stat().st_size)


def _explain(error: FetchError, title: str) -> messages.Text:
    if error.kind in (FetchProblem.GONE, FetchProblem.BAD_STATUS, FetchProblem.NETWORK, FetchProblem.TOO_SLOW):
        return messages.file_lost(title)
    return messages.file_refused(title)
