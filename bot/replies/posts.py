"""Turns an ended task into the message that its requester gets: words, a card, buttons, and files that play."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import discord

from bot.fetching.fetch import FetchError, FetchProblem
from bot.fetching.patience import KEEPS_SECONDS, Failures
from bot.formats.fetched import Fetched
from bot.formats.kinds import attachment_name
from bot.media.files import Files
from bot.media.links import DOWNLOAD_SECONDS, Links
from bot.replies.parts import Gathering, LostError, Parts, Result
from bot.songs.performances import CONTINUE
from bot.vidgo import CoverArt, CoverAudio, ExtendMusic, GenerateMusic
from bot.words import cards, posted
from bot.words.commands import mention
from bot.words.posted import Card, Colour, Offers
from bot.words.sentences import errors, labels, posts
from bot.words.text import Text
from storage import tasks as rows
from storage.database import Database, Snapshot
from storage.notifications import Notification
from storage.schema import TaskStatus
from storage.servers import settings as servers
from storage.songs import files as file_rows
from storage.songs import likes
from storage.songs.files import File
from storage.tasks import Task

log = logging.getLogger(__name__)

URL_LIMIT = 512
"""Discord's limit of a link button's address."""

MOST_PICTURES = 4
"""How many pictures Discord shows beside each other."""

_ORDERED_BY = {
    GenerateMusic.model: ("music generate", Colour.SONG),
    ExtendMusic.model: ("music extend", Colour.EXTENSION),
    CoverAudio.model: ("cover", Colour.COVER),
    CoverArt.model: ("cover", Colour.COVER),
}
"""With which command a song of a model is made, and the colour of its card; any other was brought in."""


@dataclass(frozen=True, slots=True)
class Post:
    """A message ready to be sent. `files` come with the names that people see; `pictures` describes those that show,
    and `picture` is the place of the one that the song carries, where there are several.

    Without `notifies` it names its requester, who hears nothing of it. `anew` makes the same, in the language of the
    block around it.
    """

    content: str
    view: discord.ui.View
    embeds: list[discord.Embed] = field(default_factory=list)
    files: list[tuple[Fetched, str]] = field(default_factory=list)
    pictures: str | None = None
    picture: int | None = None
    notifies: bool = True
    anew: Callable[[], Post] | None = None


class Composer:
    """Gets a task's files and composes its message."""

    def __init__(
        self,
        database: Database,
        files: Files,
        links: Links,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._files = files
        self._gathering = Gathering(database, files, clock)
        self._links = links

    async def compose(
        self,
        row: Notification,
        task: Task,
        directory: Path,
        *,
        limit: int,
        failures: Failures | None = None,
        with_other: bool = True,
    ) -> Post:
        """Compose what a notification says, with files of at most `limit` bytes, which are written to `directory`.

        It takes seconds at most: whatever takes longer goes on by itself, and is found further on at the next try.
        `failures` are those of the last `NotYet`. Without `with_other` a second version does not come along. Raises
        `NotYet`, and `OSError`.
        """
        if task.status is not TaskStatus.FINISHED:
            return _in_words(lambda: _say(row, errors.failure(task), cards.failed_buttons(row, task)))
        result = await self._result(row, task, with_other=with_other)
        try:
            got = await self._gathering.get(result, task, directory, failures)
            parts = await self._gathering.fit(result, task, got, directory, limit, failures)
        except LostError as lost:
            log.error("task %s: its file cannot be posted: %s", task.id, lost)
            text = _explain(lost.error, task.title, is_artwork=result.artwork_only)
            return _in_words(lambda: _say(row, text, posted.buttons(row.id, _still(task, result))))
        if parts is None:
            return await self._linked(row, task, result)
        return _in_words(partial(self._post, row, task, result, parts, limit))

    def compose_plain(self, row: Notification, task: Task) -> Post:
        """Compose one sentence for a result that Discord refuses as it is."""
        offers = Offers(again=_can_be_repeated(task))
        return _in_words(lambda: _say(row, posts.post_refused(task.title), posted.buttons(row.id, offers)))

    async def compose_link(self, row: Notification, task: Task) -> Post:
        """Compose a message whose audio is a link, for a channel that takes no file of that size."""
        return await self._linked(row, task, await self._result(row, task))

    async def _result(self, row: Notification, task: Task, *, with_other: bool = True) -> Result:
        async with self._database.read() as snapshot:
            notifies = (await servers.get(snapshot, row.guild_id)).mentions
            liked = await likes.count(snapshot, task.id, row.guild_id or 0)
            own = await file_rows.of(snapshot, task.id)
            versions = [file for file in own if file.audio_url]
            audio = _meant(versions, row.position)
            artwork_only = audio is None
            if audio is None:
                audio = await _original(snapshot, task, row.position)
        pictures = [file for file in (own if artwork_only or audio is None else [audio]) if file.image_urls]
        other = None
        if with_other and not artwork_only and not row.alone:
            other = next((file for file in versions if file is not audio), None)
        return Result(
            title=task.title if audio is None else audio.title or task.title,
            tags="" if audio is None else audio.tags,
            audio=audio,
            pictures=pictures[:MOST_PICTURES],
            artwork_only=artwork_only,
            notifies=notifies,
            other=other,
            versions=versions,
            likes=liked,
            picture=row.picture if row.picture_wanted is None else row.picture_wanted,
        )

    # Messages

    def _post(self, row: Notification, task: Task, result: Result, parts: Parts, limit: int) -> Post:
        files: list[tuple[Fetched, str]] = []
        audios = [(result.audio, parts.song), (result.other, parts.other)]
        for file, song in audios:
            if file is not None and song is not None:
                files.append((song, attachment_name(result.title, song.kind, _number(file, result))))
        shown = [(file, picture) for file, picture in parts.pictures if picture.size <= limit]
        names = [_picture_name(file, picture, result) for file, picture in shown]
        files += [(picture, name) for (_, picture), name in zip(shown, names, strict=True)]
        is_gone = parts.problem in (None, FetchProblem.GONE)
        said = [
            posts.artwork_alone(result.title, is_gone=is_gone)
            if result.artwork_only and parts.song is None
            else posts.result(task, result.title, artwork_only=result.artwork_only, user_id=row.user_id)
        ]
        if parts.shrunk:
            said.append(posts.reduced())
        if task.late_at is not None:
            said.append(posts.apology())
        with_audio = [file for file, song in audios if file is not None and song is not None]
        carried = next((file.position for file, picture in parts.pictures if picture is parts.artwork), None)
        chosen = carried if parts.song is not None and len(shown) > 1 else None
        return Post(
            content=posts.told(row.user_id, *said),
            view=posted.buttons(
                row.id,
                _offers(
                    task,
                    result,
                    has_song=parts.song is not None,
                    other=None if parts.other is not None else _other_of(result),
                    pictures=[file.position + 1 for file, _ in shown] if chosen is not None else [],
                    chosen=None if chosen is None else chosen + 1,
                ),
            ),
            embeds=posted.embeds(self._card(row, task, result, with_audio, names)),
            files=files,
            pictures=str(labels.artwork_of(result.title)) if shown else None,
            picture=chosen,
            notifies=result.notifies,
        )

    def _card(self, row: Notification, task: Task, result: Result, audios: list[File], names: list[str]) -> Card:
        command, colour = _ORDERED_BY.get(task.model, ("music import", Colour.IMPORTED))
        # Words are shown in the server in which they were typed, and only what somebody has typed.
        words = task.request.get("prompt") if task.guild_id == row.guild_id else None
        number = 1 if result.audio is None else result.audio.position + 1
        return Card(
            title=result.title,
            colour=Colour.ARTWORK if result.artwork_only else colour,
            order=mention(command),
            user_id=row.user_id if row.user_id == task.user_id else None,
            style=str(task.request.get("style") or result.tags),
            words=posted.first_line(words if words != CONTINUE else None),
            lengths=[file.duration for file in audios],
            versions=(1, 1) if result.artwork_only else (number, len(result.versions)),
            is_artwork=result.artwork_only,
            thumbnail=names[0] if names and not result.artwork_only else None,
            images=names if result.artwork_only else [],
            credits=task.credits,
            gallery=f"https://discord.com/channels/{row.guild_id or '@me'}/{row.channel_id}",
        )

    async def _linked(self, row: Notification, task: Task, result: Result) -> Post:
        link, expires = None, 0.0
        if result.audio is not None:
            async with self._database.read() as snapshot:
                holder = await rows.get(snapshot, result.audio.task_id) or task
            made = self._links.make(holder, result.audio.position, DOWNLOAD_SECONDS)
            if made is not None:
                link, expires = made
            elif await self._files.at_vidgo(result.audio) and len(result.audio.audio_url or "") <= URL_LIMIT:
                link = result.audio.audio_url
                expires = (holder.finished_at or holder.created_at) + KEEPS_SECONDS
        if link is None or result.audio is None:
            return _in_words(
                lambda: _say(row, posts.file_out_of_reach(task.title), posted.buttons(row.id, _still(task, result)))
            )
        offers, audio = _offers(task, result, other=_other_of(result), link=link), result.audio
        return _in_words(
            lambda: Post(
                content=posts.told(row.user_id, posts.file_too_large(task.title, expires)),
                view=posted.buttons(row.id, offers),
                embeds=posted.embeds(self._card(row, task, result, [audio], [])),
                notifies=result.notifies,
            )
        )


def _in_words(make: Callable[[], Post]) -> Post:
    """Return a message in the language of the block around it, which can be put into another one."""
    return replace(make(), anew=make)


def _meant(versions: list[File], position: int) -> File | None:
    """Return the version that is meant, or else the first."""
    return next((file for file in versions if file.position == position), next(iter(versions), None))


async def _original(snapshot: Snapshot, task: Task, position: int) -> File | None:
    """Return the audio of the song that something was made from."""
    return None if task.source_id is None else await file_rows.one(snapshot, task.source_id, position)


def _number(file: File, result: Result) -> int:
    return 1 if result.other is None else file.position + 1


def _picture_name(file: File, picture: Fetched, result: Result) -> str:
    """Name a picture so that a post tells later which of several it was."""
    number = f"{file.position + 1}" if result.artwork_only and file.position else ""
    return f"cover{number}{picture.kind.extension}"


def _other_of(result: Result) -> int | None:
    """Return the number of the version that a post does not have, where there is one."""
    left = [file.position for file in result.versions if file is not result.audio]
    return None if result.artwork_only or not left else left[0] + 1


def _offers(
    task: Task,
    result: Result,
    *,
    other: int | None,
    has_song: bool = True,
    pictures: list[int] | None = None,
    chosen: int | None = None,
    link: str | None = None,
) -> Offers:
    """Return what can be done with a result."""
    is_cover = task.model == CoverArt.model
    # No cover can be made of a cover; what can be made anew is the original.
    song = result.audio if has_song and (result.artwork_only or not is_cover) else None
    return Offers(
        track=None if song is None else cards.track_value(song),
        cover=not is_cover,
        anew=result.artwork_only,
        lengthen=song is not None and song.audio_id is not None and not is_cover,
        again=_can_be_repeated(task),
        likes=result.likes,
        other=other,
        pictures=pictures or [],
        chosen=chosen,
        link=link,
    )


def _still(task: Task, result: Result) -> Offers:
    """Return what can be done where a result cannot be posted."""
    if result.artwork_only and result.audio is not None:
        return Offers(track=cards.track_value(result.audio), anew=True)
    return Offers(again=_can_be_repeated(task))


def _can_be_repeated(task: Task) -> bool:
    # A member's own recording is where only its order knew it.
    is_known = task.recording is None and bool(task.request)
    return is_known and task.model in (GenerateMusic.model, ExtendMusic.model, CoverAudio.model)


def _say(row: Notification, text: Text, view: discord.ui.View | None = None) -> Post:
    return Post(content=posts.told(row.user_id, text), view=view or posted.buttons(row.id, Offers()))


def _explain(error: FetchError, title: str, *, is_artwork: bool) -> Text:
    match error.kind:
        case FetchProblem.GONE:
            return posts.file_lost(title)
        case FetchProblem.TOO_LARGE:
            return posts.file_beyond_bounds(title)
        case FetchProblem.REFUSED_ADDRESS | FetchProblem.BAD_URL:
            return posts.address_refused(title)
        case FetchProblem.NOT_MEDIA:
            return posts.artwork_refused(title) if is_artwork else posts.file_refused(title)
    return posts.file_never_came(title)
