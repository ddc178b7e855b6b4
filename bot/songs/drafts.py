"""Orders as members type them: by command, in a form, or again after nothing came of it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace

from bot.songs.covers import Covers
from bot.songs.finding import Songs
from bot.songs.orders import Ordered, Requester
from bot.songs.performances import Performances
from bot.songs.recordings import Recordings
from bot.vidgo import CoverArt
from bot.words import cards
from bot.words.sentences import errors
from bot.words.sentences.errors import MemberError
from bot.words.text import clean
from storage import notifications
from storage import tasks as rows
from storage.database import Database
from storage.notifications import Notification, drafts
from storage.notifications.drafts import AT_LIMIT, PROMPT_LIMIT, STYLE_LIMIT, TITLE_LIMIT, Draft, Making
from storage.notifications.posts import PostMessage
from storage.schema import TaskStatus
from storage.tasks import Task

_LIMITS = {"prompt": PROMPT_LIMIT, "style": STYLE_LIMIT, "title": TITLE_LIMIT, "at": AT_LIMIT}
_MOMENT = re.compile(r"(?:\d{1,4}|\d{1,3}:[0-5]?\d)(?:[.,]\d{1,3})?", re.ASCII)


class Drafts:
    """Orders what was typed, and keeps it where nothing comes of it."""

    def __init__(
        self,
        database: Database,
        songs: Songs,
        covers: Covers,
        performances: Performances,
        recordings: Recordings,
    ) -> None:
        self._database = database
        self._songs = songs
        self._covers = covers
        self._performances = performances
        self._recordings = recordings

    async def order(self, requester: Requester, draft: Draft) -> Ordered:
        """Order what was typed; raises `MemberError`."""
        draft = _visible(draft)
        _check(draft)
        if draft.making is Making.SONG:
            return await self._songs.generate(
                requester,
                prompt=draft.prompt,
                style=draft.style or None,
                title=draft.title or None,
                instrumental=draft.instrumental,
            )
        if draft.making is Making.RECORDING:
            return await self._recordings.perform_known(requester, draft.track or "", draft.style)
        if draft.track is None:
            # The newest may be another one when this is tried again.
            song = await self._songs.find(requester.user_id, None)
            draft = replace(draft, track=cards.track_value(song))
            await self._keep(requester, draft)
        if draft.making is Making.COVER:
            return await self._covers.cover(requester, draft.track)
        if draft.making is Making.STYLE:
            return await self._performances.perform(requester, draft.track, draft.style)
        return await self._performances.extend(requester, draft.track, draft.prompt.strip() or None, _seconds(draft.at))

    async def order_from_post(self, requester: Requester, message: PostMessage, draft: Draft) -> Ordered:
        """Order what was typed for the song of a post, or of the member's library; raises `MemberError`."""
        if await self._songs.is_post(message):
            draft = replace(draft, track=await self._songs.from_post(requester.user_id, message, draft.track))
        return await self.order(requester, draft)

    async def cover_post(self, requester: Requester, message: PostMessage) -> Ordered:
        """Order the cover of the song that a post carries, which can be tried again; raises `MemberError`."""
        draft = Draft(Making.COVER, track=await self._songs.from_post(requester.user_id, message))
        await self._keep(requester, draft)
        return await self.order(requester, draft)

    async def _keep(self, requester: Requester, draft: Draft) -> None:
        async with self._database.write(durable=False) as transaction:
            await drafts.keep(transaction, requester.notification_id, draft)

    async def again(self, requester: Requester, notification_id: str) -> Ordered:
        """Order once more what nothing came of, once; raises `MemberError`."""
        async with self._database.write(durable=False) as transaction:
            row = await notifications.get(transaction, notification_id)
            # Locked in this order by everybody: first the task, then its notifications.
            task = await rows.lock(transaction, row.task_id) if row is not None and row.task_id is not None else None
            draft = _judge(await notifications.lock(transaction, notification_id), task, requester.user_id)
            if draft.used:
                raise MemberError(errors.tried_again(has_words=draft.making.has_words))
            await drafts.keep(transaction, notification_id, replace(draft, used=True))
            draft = replace(draft, again=notification_id)
            await drafts.keep(transaction, requester.notification_id, draft)
        return await self.order(requester, draft)

    async def to_change(self, user_id: int, notification_id: str) -> Draft:
        """Return what was typed, for a form; raises `MemberError`."""
        async with self._database.read() as snapshot:
            row = await notifications.get(snapshot, notification_id)
            task = await rows.get(snapshot, row.task_id) if row is not None and row.task_id is not None else None
        draft = _judge(row, task, user_id)
        if not draft.making.has_words:
            raise MemberError(errors.stale_button())
        return draft

    async def keep_changed(
        self, requester: Requester, notification_id: str, making: Making, fields: Mapping[str, object]
    ) -> None:
        """Keep other words for what nothing came of, with the song that stands there; raises `MemberError`."""
        async with self._database.read() as snapshot:
            row = await notifications.get(snapshot, notification_id)
        if row is None or row.user_id != requester.user_id or row.draft is None or row.draft.making is not making:
            raise MemberError(errors.stale_form())
        await self._keep(requester, filled_in(replace(row.draft, used=False, again=""), fields))

    async def order_kept(self, requester: Requester) -> Ordered:
        """Order what was kept; raises `MemberError`."""
        async with self._database.read() as snapshot:
            row = await notifications.get(snapshot, requester.notification_id)
        if row is None or row.draft is None:  # forgotten meanwhile
            raise MemberError(errors.stale_form())
        return await self.order(requester, row.draft)

    async def check_song(self, user_id: int, message: PostMessage, track: str) -> str:
        """Return the title of the song that a form is for; raises `MemberError` where its order would be refused."""
        if await self._songs.is_post(message):
            return await self._songs.title_of_post(user_id, message, track)
        return (await self._songs.find(user_id, track)).title


def _judge(row: Notification | None, task: Task | None, user_id: int) -> Draft:
    """Return what was typed for an order that nothing came of; raises `MemberError` where that is not so."""
    if row is None:
        raise MemberError(errors.stale_button())
    if row.user_id != user_id:
        raise MemberError(errors.not_your_try(), of_another=True)
    if task is not None and task.status is TaskStatus.FINISHED:
        raise MemberError(errors.came_after_all(task.title), of_another=True)
    if task is not None and task.status not in rows.ENDED_BADLY:
        raise MemberError(errors.unfinished(task.title), of_another=True)
    draft = row.draft or _of(row, task)
    if draft is None:
        raise MemberError(errors.stale_button())
    return draft


def _of(row: Notification, task: Task | None) -> Draft | None:
    """Return what a task says of its order where nothing was typed."""
    if task is None or task.model != CoverArt.model or task.source_id is None:
        return None
    track = task.source_id if row.position == 0 else f"{task.source_id}.{row.position}"
    return Draft(Making.COVER, track=track)


def filled_in(draft: Draft, fields: Mapping[str, object]) -> Draft:
    """Return a draft with what a form carries; what is missing, or of another kind, is taken for empty."""

    def typed(name: str) -> str:
        value = fields.get(name)
        return value if isinstance(value, str) else ""

    if draft.making is Making.SONG:
        return replace(
            draft,
            prompt=typed("prompt"),
            style=typed("style"),
            title=typed("title"),
            instrumental=fields.get("instrumental") is True,
        )
    if draft.making is Making.STYLE:
        return replace(draft, style=typed("style"))
    return replace(draft, prompt=typed("prompt"), at=typed("at"))


def _visible(draft: Draft) -> Draft:
    """Return a draft in which what shows nothing is empty: spaces, and characters that nobody sees."""

    def shown(words: str) -> str:
        return words if clean(words, len(words)) else ""

    return replace(
        draft, prompt=shown(draft.prompt), style=shown(draft.style), title=shown(draft.title), at=shown(draft.at)
    )


def _check(draft: Draft) -> None:
    """Refuse what no form and no command would let through."""
    for name, limit in _LIMITS.items():
        if len(getattr(draft, name)) > limit:
            raise MemberError(errors.too_much_typed(limit))
    if draft.making is Making.SONG and not draft.prompt.strip():
        raise MemberError(errors.no_prompt())
    if draft.making is Making.EXTENSION:
        _seconds(draft.at)


def _seconds(typed: str) -> float | None:
    """Return the second that was typed, as `90`, `1:30` or nothing; raises `MemberError`."""
    text = unicodedata.normalize("NFKC", typed).strip()  # Japanese keyboards have digits and a colon of their own
    if not text:
        return None
    seconds = 0.0
    if _MOMENT.fullmatch(text) is not None:
        minutes, _, rest = text.rpartition(":")
        seconds = 60 * float(minutes or 0) + float(rest.replace(",", "."))
    if not 1 <= seconds <= 3600:
        raise MemberError(errors.not_a_moment(text))
    return seconds
