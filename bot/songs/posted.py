"""What members do with what was posted: like it, keep it, have it made once more, hear the other version of it."""

from __future__ import annotations

from collections.abc import Callable

from bot.servers.limits import Limits
from bot.songs.finding import post_of
from bot.songs.orders import Ordered, Requester, order
from bot.songs.performances import CONTINUE, Performances
from bot.tasks.new import new_task, order_key
from bot.vidgo import CoverArt, CoverAudio, ExtendMusic, GenerateMusic, SubmitRequest, load_request
from bot.words import cards
from bot.words.sentences import errors
from bot.words.sentences.errors import MemberError
from storage import notifications
from storage.database import Database, Transaction
from storage.notifications import drafts, pictures, posts
from storage.notifications.drafts import Draft, Making
from storage.notifications.posts import PostMessage
from storage.planned import Gone
from storage.songs import files as file_rows
from storage.songs import library, likes
from storage.songs.files import File
from storage.tasks import Task

_REPEATABLE = (GenerateMusic.model, ExtendMusic.model, CoverAudio.model)


class Posted:
    """Does what the buttons under a post say; each method asks who presses, and what is so now."""

    def __init__(
        self,
        database: Database,
        performances: Performances,
        limits: Limits,
        clock: Callable[[], float],
        *,
        version: str,
    ) -> None:
        self._version = version
        self._database = database
        self._performances = performances
        self._limits = limits
        self._clock = clock

    async def like(self, user_id: int, notification_id: str, message: PostMessage) -> None:
        """Like what a message carries, or take that back; raises `MemberError` where it carries nothing."""
        async with self._database.write() as transaction:
            row = await posts.by_message(transaction, message)
            if row is None or row.id != notification_id or row.task_id is None:
                raise MemberError(errors.stale_button())
            await likes.press(transaction, user_id, row.task_id, row.guild_id or 0, self._clock())

    async def likes_of(self, message: PostMessage) -> int:
        """Return how many like what a message carries."""
        async with self._database.read() as snapshot:
            row = await posts.by_message(snapshot, message)
            if row is None or row.task_id is None:
                return 0
            return await likes.count(snapshot, row.task_id, row.guild_id or 0)

    async def keep(self, user_id: int, notification_id: str, message: PostMessage) -> tuple[str, int]:
        """Take what a message carries into a member's library; return its title and in how many versions it is there.

        Raises `MemberError` where the member may not, or the message carries nothing.
        """
        async with self._database.write() as transaction:
            task, _ = await self._pressed(transaction, user_id, notification_id, message)
            files = await file_rows.of(transaction, task.id)
            kind = "cover" if task.model == CoverArt.model else "song"
            await library.add(transaction, [user_id], files, kind, self._clock())
            kept = files
            if kind == "cover" and task.source_id is not None:
                # Its music is the original's, and so is all that can be made of it.
                kept = await file_rows.of(transaction, task.source_id)
                await library.add(transaction, [user_id], _with_audio(kept), "song", self._clock())
        return task.title, max(len(_with_audio(kept)), 1)

    async def other_version(self, requester: Requester, notification_id: str, message: PostMessage) -> Ordered:
        """Post the version that comes second in a message or not at all; raises `MemberError` where there is none."""
        async with self._database.write() as transaction:
            task, position = await self._pressed(transaction, requester.user_id, notification_id, message)
            versions = _with_audio(await file_rows.of(transaction, task.id))
            other = next((file for file in versions if file.position != position), None)
            if other is None:
                raise MemberError(errors.stale_button())
            await notifications.tie(transaction, requester.notification_id, task.id, other.position, alone=True)
        return Ordered(task, other.title or task.title, joined=False)

    async def choose_picture(self, user_id: int, notification_id: str, message: PostMessage, number: int) -> None:
        """Have a post, and its requester's library, carry another of its pictures.

        Raises `MemberError` for anybody else, and where there is no such picture.
        """
        async with self._database.write() as transaction:
            row = await posts.by_message(transaction, message)
            if row is None or row.id != notification_id or row.task_id is None:
                raise MemberError(errors.stale_button())
            if row.user_id != user_id:
                raise MemberError(errors.not_your_picture())
            files = await file_rows.of(transaction, row.task_id)
            pictures_of = [file.position for file in files if file.image_urls]
            if _with_audio(files) or number - 1 not in pictures_of:
                raise MemberError(errors.stale_button())
            try:
                await pictures.want(transaction, row.id, number - 1, self._clock())
            except Gone:  # removed in this very moment
                raise MemberError(errors.stale_button()) from None

    async def again(self, requester: Requester, notification_id: str, message: PostMessage) -> Ordered:
        """Order once more what a message carries, in the same words and style, or join whoever does so already.

        Raises `MemberError` where nobody knows the words any more, a limit is reached, or VidGo refuses the order.
        """
        async with self._database.write() as transaction:
            task, _ = await self._pressed(transaction, requester.user_id, notification_id, message)
            request = _request_of(task, self._version)
            source: File | None = None
            if isinstance(request, CoverAudio | ExtendMusic) and task.source_id is not None:
                versions = _with_audio(await file_rows.of(transaction, task.source_id))
                source = _source_of(task, request, versions)
                await library.add(transaction, [requester.user_id], versions, "song", self._clock())
            draft = _draft_of(request, source)
            # Words are shown in the server in which they were typed.
            if draft is not None and task.guild_id == requester.guild_id:
                await drafts.keep(transaction, requester.notification_id, draft)
        if isinstance(request, CoverAudio):
            if source is None:
                raise MemberError(errors.not_again(task.title))
            # The address that VidGo was told then leads nowhere by now.
            return await self._performances.perform(requester, cards.track_value(source), request.style)
        return await self._repeat(requester, task, request)

    async def _repeat(self, requester: Requester, task: Task, request: SubmitRequest) -> Ordered:
        again = new_task(
            request,
            now=self._clock(),
            user_id=requester.user_id,
            guild_id=requester.guild_id,
            title=task.title,
            source_id=task.source_id,
            order_key=order_key("again", task.id, requester.guild_id),
        )
        async with self._database.write(durable=False) as transaction:
            return await order(transaction, self._limits, requester, again, task.title)

    @staticmethod
    async def _pressed(
        transaction: Transaction, user_id: int, notification_id: str, message: PostMessage
    ) -> tuple[Task, int]:
        """Return what the pressed message carries, and in which version."""
        row, task = await post_of(transaction, user_id, message)
        if row.id != notification_id:
            raise MemberError(errors.stale_button())
        return task, row.position


def _request_of(task: Task, version: str) -> SubmitRequest:
    """Return what VidGo was asked for; raises `MemberError` where that was forgotten, or was made elsewhere."""
    if task.model not in _REPEATABLE or not task.request:
        raise MemberError(errors.not_again(task.title))
    try:
        return load_request(task.model, task.request | {"mv": version})
    except ValueError:  # of a version whose words are others
        raise MemberError(errors.not_again(task.title)) from None


def _source_of(task: Task, request: CoverAudio | ExtendMusic, versions: list[File]) -> File | None:
    """Return the version from which something was made; that of a performance only its order's key remembers."""
    if isinstance(request, ExtendMusic):
        return next((file for file in versions if file.audio_id == request.audio_id), None)
    for file in versions:
        style = request.style.casefold()
        if task.order_key == order_key(CoverAudio.model, task.source_id, file.position, style):
            return file
    return next(iter(versions), None)


def _draft_of(request: SubmitRequest, source: File | None) -> Draft | None:
    """Return what would have to be typed to order the same, None where nobody knows from which song."""
    if isinstance(request, GenerateMusic):
        words = request.prompt, request.style or "", request.title or ""
        return Draft(Making.SONG, None, *words, request.instrumental)
    if source is None:
        return None
    track = cards.track_value(source)
    if isinstance(request, CoverAudio):
        return Draft(Making.STYLE, track, style=request.style)
    if isinstance(request, ExtendMusic):
        prompt = request.prompt if request.prompt not in (None, CONTINUE) else ""
        at = "" if request.continue_at is None else f"{request.continue_at:g}"
        return Draft(Making.EXTENSION, track, prompt or "", at=at)
    return None


def _with_audio(files: list[File]) -> list[File]:
    return [file for file in files if file.audio_url]
