"""The worker that posts due notifications to Discord, each exactly once.

`sending` is written before Discord is asked. A notification found in that state later is first looked for among the
bot's own messages: its id stands in the custom id of the *Remove* button, and in the nonce, by which Discord itself
drops a repeat within a few minutes.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from weakref import WeakValueDictionary

import aiohttp
import discord

from bot.media.patience import Failures, Stage
from bot.metrics import Metrics
from bot.replies.interactions import Interactions
from bot.replies.posts import Composer, NotYet, Post
from bot.words import cards, errors, waiting
from bot.words.text import speaking
from bot.worker import Worker
from storage import notifications
from storage import tasks as rows
from storage.database import Database
from storage.notifications import Notification
from storage.schema import Face, NotificationState, TaskStatus
from storage.tasks import File, Task

log = logging.getLogger(__name__)

CONCURRENCY = 6
GIVE_UP_SECONDS = 86400.0
LONGEST_PAUSE_SECONDS = 300.0
LOOK_BACK = 300
"""How many messages after the acknowledgement are searched for one that was posted before a crash."""

UNBOOSTED_LIMIT = 10 * 1024 * 1024
"""What Discord accepts in any server."""

_TOO_LARGE = 40005
_ARCHIVED_THREAD = 50083
_NO_HISTORY = 160002
"""What a reply is refused with where the bot may not read the history; a message that is none may come."""

NOT_NOW = (401, 429)
"""A token that the owner has to renew, and a limit that discord.py did not wait for: neither is the message's fault."""

_CLOSED = (discord.NotFound, discord.Forbidden)
_EXPIRED_TOKEN = 50027
_ORIGINAL = cast("int", "@original")
"""The name of an interaction's first answer, which Discord takes in the place of a message's id."""


class _TooLarge(Exception):  # noqa: N818 (a word says what happened)
    """The channel takes no file of that size."""


class Delivery:
    """Tells requesters what became of their tasks."""

    def __init__(
        self,
        database: Database,
        client: discord.Client,
        composer: Composer,
        interactions: Interactions,
        *,
        directory: Path,
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._client = client
        self._composer = composer
        self._interactions = interactions
        self._directory = directory
        self._clock = clock
        self._metrics = metrics
        self.on_face: Callable[[], None] = lambda: None
        """Called after a commit that wants an acknowledgement to change."""
        self._channels: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self.worker = Worker(
            "delivery",
            find=self._find,
            next_due=self._next_due,
            work=self.deliver,
            concurrency=CONCURRENCY,
            clock=clock,
        )

    async def _find(self, skip: Collection[str], limit: int) -> list[str]:
        now = self._clock()
        async with self._database.read() as connection:
            return await notifications.due(connection, now, now + 2 * LONGEST_PAUSE_SECONDS, skip, limit)

    async def _next_due(self, skip: Collection[str]) -> float | None:
        async with self._database.read() as connection:
            return await notifications.next_due(connection, skip)

    async def deliver(self, notification_id: str, known: tuple[Notification, Task, list[File]] | None = None) -> None:
        """Do what a due notification needs: answer an interaction that was left open, or post the result.

        `known` are its rows where they were written a moment ago.
        """
        if known is not None:
            row, task, files = known
            with speaking(row.locale):
                await self._deliver(row, task, files)
            return
        async with self._database.read() as connection:
            found = await notifications.get(connection, notification_id)
            of = await rows.get(connection, found.task_id) if found is not None and found.task_id is not None else None
        if found is not None:
            with speaking(found.locale):
                await self._deliver(found, of, None)

    def start(self, row: Notification, task: Task, files: list[File]) -> None:
        """Deliver a result at once, with rows that were written a moment ago."""
        self.worker.start_now(row.id, (row, task, files))

    async def _deliver(self, row: Notification, task: Task | None, files: list[File] | None) -> None:
        if row.state is NotificationState.ASKED:
            await self._answer(row, task)
            return
        if row.kind == "late" and task is not None and task.status.is_final:
            await self._drop(row)  # the result is there, or its failure told, before anybody could say that it is late
            return
        if task is None or row.state not in (NotificationState.DUE, NotificationState.SENDING):
            return
        lock = self._channels.setdefault(row.channel_id, asyncio.Lock())
        try:
            with tempfile.TemporaryDirectory(dir=self._directory, ignore_cleanup_errors=True) as directory:
                await self._compose_and_post(row, task, files, Path(directory), lock)
        except NotYet as error:
            log.info("task %s: its file comes later: %s", task.id, error.reason)
            await self._not_yet(row, error)
        except (discord.HTTPException, discord.RateLimited, OSError, aiohttp.ClientError, TimeoutError) as error:
            log.warning("notification %s of task %s is not posted yet: %s", row.id, task.id, type(error).__name__)
            await self._later(row, "discord", type(error).__name__)

    async def _compose_and_post(
        self, row: Notification, task: Task, files: list[File] | None, directory: Path, lock: asyncio.Lock
    ) -> None:
        fresh = files is not None
        if row.state is NotificationState.SENDING and not fresh:
            posted = await self._posted_before(row)
            if posted is not None:
                await self._delivered(row, task, posted)
                return None
        failures = Failures.load(row.error)
        post = await self._composer.compose(row, task, directory, limit=row.upload_limit, failures=failures, own=files)
        async with lock:
            try:
                return await self._post(row, task, post, claimed=fresh)
            except _TooLarge:
                log.info("task %s: its file is too large for channel %s now", task.id, row.channel_id)
        # The server has lost its boosts since the command was typed.
        row = replace(row, upload_limit=min(row.upload_limit, UNBOOSTED_LIMIT))
        try:
            smaller = await self._composer.compose(row, task, directory, limit=row.upload_limit, failures=failures)
        except NotYet as error:
            await self._not_yet(row, error)
            return None
        async with lock:
            try:
                await self._post(row, task, smaller)
            except _TooLarge:
                await self._post(row, task, await self._composer.compose_link(row, task))

    # Posting

    async def _post(self, row: Notification, task: Task, post: Post, *, claimed: bool = False) -> None:
        if not (claimed or await self._claim(row)):
            return
        try:
            channel = self._client.get_partial_messageable(row.channel_id, guild_id=row.guild_id)
            message_id = await self._send_to(channel, row, post)
        except _CLOSED as error:
            log.warning("task %s: channel %s is closed to the bot: %s", task.id, row.channel_id, error.text)
            await self._post_elsewhere(row, task, post)
        except discord.DiscordServerError:
            raise
        except discord.HTTPException as error:
            if _is_too_large(error):
                raise _TooLarge from error
            if error.code == _ARCHIVED_THREAD:
                await self._post_elsewhere(row, task, post)
                return
            log.error("task %s: Discord refuses its message: %s %s", task.id, error.status, error.text)
            if error.status in NOT_NOW:
                await self._later(row, "discord", f"{error.status} {error.code}")
            elif post.embed is not None:
                await self._post(row, task, self._composer.compose_plain(row, task))
            else:
                await self._give_up(row, f"{error.status} {error.code}")
        else:
            await self._delivered(row, task, message_id)

    async def _claim(self, row: Notification) -> bool:
        """Write that a notification is being sent, unless nobody wants it any more."""
        async with self._database.once() as connection:
            return await notifications.change(
                connection,
                row.id,
                only=[NotificationState.DUE, NotificationState.SENDING],
                state=NotificationState.SENDING,
                attempts=row.attempts + 1,
                attempt_at=self._clock() + LONGEST_PAUSE_SECONDS,
            )

    async def _send_to(
        self, channel: discord.abc.Messageable, row: Notification, post: Post, *, reply: bool = True
    ) -> int:
        options: dict[str, Any] = {}
        if reply and row.ack_message_id is not None and isinstance(channel, discord.PartialMessageable):
            options["reference"] = discord.MessageReference(
                message_id=row.ack_message_id,
                channel_id=row.channel_id,
                guild_id=row.guild_id,
                fail_if_not_exists=False,
            )
        try:
            with ExitStack() as stack:
                message = await channel.send(**_content(post, row, stack), nonce=row.id, **options)
        except discord.HTTPException as error:
            if error.code != _NO_HISTORY or not options:
                raise
            return await self._send_to(channel, row, post, reply=False)
        return message.id

    async def _posted_before(self, row: Notification) -> int | None:
        """Return the message that this notification was posted as, if it was."""
        channel = self._client.get_partial_messageable(row.channel_id, guild_id=row.guild_id)
        asked_at = datetime.fromtimestamp(row.created_at, UTC) - timedelta(minutes=1)
        after = discord.Object(row.ack_message_id or discord.utils.time_snowflake(asked_at))
        custom_id = cards.remove_id(row.id)
        try:
            async for message in channel.history(after=after, limit=LOOK_BACK, oldest_first=True):
                for component in message.components:
                    if isinstance(component, discord.ActionRow) and any(
                        getattr(child, "custom_id", None) == custom_id for child in component.children
                    ):
                        return message.id
        except _CLOSED as error:
            log.info("notification %s cannot be looked for: %s", row.id, error.text)
        return None

    async def _post_elsewhere(self, row: Notification, task: Task, post: Post) -> None:
        """Reach the requester of a closed channel through the interaction while its token lives, else by DM."""
        try:
            if row.interaction_token is not None and row.token_expires_at > self._clock():
                with ExitStack() as stack:
                    sent = await self._webhook(row).send(**_content(post, row, stack), ephemeral=True, wait=True)
                await self._delivered(row, task, sent.id, elsewhere=True)
                return
        except discord.HTTPException as error:
            if _is_too_large(error):
                raise _TooLarge from error
            if not _is_final(error):
                raise
            log.info("notification %s cannot be told through its interaction: %s", row.id, error.text)
        try:
            user = await self._client.create_dm(discord.Object(row.user_id))
            await self._delivered(row, task, await self._send_to(user, row, post), elsewhere=True)
        except discord.HTTPException as error:
            if _is_too_large(error):
                raise _TooLarge from error
            if isinstance(error, discord.DiscordServerError) or error.status in NOT_NOW:
                raise
            log.warning("task %s: its requester cannot be reached: %s", task.id, error.text)
            await self._give_up(row, f"{error.status} {error.code}")

    # Answering interactions that were left open

    async def _answer(self, row: Notification, task: Task | None) -> None:
        webhook = self._webhook(row)
        quiet = discord.AllowedMentions.none()
        try:
            if task is not None:
                text = str(await self._interactions.acknowledgement(task, task.title, joined=False))
                if task.status.is_final and task.status is not TaskStatus.FINISHED:
                    text = str(waiting.ended(task.title, row.guild_id, row.channel_id, None))
                view = None if task.status.is_final else cards.waiting_buttons(row.id)
                message = await webhook.edit_message(_ORIGINAL, content=text, view=view, allowed_mentions=quiet)
                await self._close(row, task, message.id)
                return
            text = str(errors.interrupted())
            if row.ephemeral:
                await webhook.edit_message(_ORIGINAL, content=text, allowed_mentions=quiet)
            else:
                with suppress(discord.NotFound):  # whoever died after this still owes the sentence
                    await webhook.delete_message(_ORIGINAL)
                await webhook.send(text, ephemeral=True, allowed_mentions=quiet)
        except discord.HTTPException as error:
            if not _is_final(error):
                raise
            log.info("interaction %s cannot be answered any more: %s", row.id, error.text)
        await self._close(row, task, None)

    async def _close(self, row: Notification, task: Task | None, ack_message_id: int | None) -> None:
        if task is None:
            await self._interactions.close(row.id)
        else:
            await self._interactions.hand_over(row.id, ack_message_id)

    def _webhook(self, row: Notification) -> discord.Webhook:
        payload: Any = {"id": row.application_id, "type": 3, "token": row.interaction_token}
        return discord.Webhook.from_state(payload, self._client._connection)

    # Ends

    async def _delivered(self, row: Notification, task: Task, message_id: int, *, elsewhere: bool = False) -> None:
        done = Face.DONE if task.status is TaskStatus.FINISHED else Face.FAILED
        if elsewhere:
            done = Face.ELSEWHERE
        await self._end(row, NotificationState.DELIVERED, done, message_id=message_id)
        log.info("task %s: its %s is posted as message %s", task.id, row.kind, message_id)

    async def _give_up(self, row: Notification, error: str) -> None:
        await self._end(row, NotificationState.UNDELIVERABLE, Face.FAILED, error=error)

    async def _end(self, row: Notification, state: NotificationState, face: Face, **values: Any) -> None:
        shows = row.kind == "result" and row.ack_message_id is not None
        async with self._database.write() as connection:
            await notifications.change(
                connection,
                row.id,
                only=[NotificationState.DUE, NotificationState.SENDING],
                state=state,
                attempt_at=None,
                interaction_token=None,
                delivered_at=self._clock(),
                ack_wanted=face if shows else None,
                **values,
            )
        if shows:
            self.on_face()
        self._metrics.deliveries.labels(state).inc()

    async def _drop(self, row: Notification) -> None:
        async with self._database.write() as connection:
            await notifications.change(
                connection, row.id, only=[NotificationState.DUE], state=NotificationState.CANCELLED, attempt_at=None
            )

    async def _not_yet(self, row: Notification, error: NotYet) -> None:
        """Plan the next try for a file that cannot be had yet, and have the acknowledgement say so."""
        self._metrics.deliveries.labels("fetching_failed").inc()
        says = {}
        if error.is_news and row.ack_message_id is not None:
            says["ack_wanted"] = Face.NOT_YET if error.stage is Stage.NOT_YET else Face.STILL_NOT
        async with self._database.write() as connection:
            await notifications.change(
                connection,
                row.id,
                only=[NotificationState.DUE, NotificationState.SENDING],
                state=NotificationState.DUE,
                upload_limit=row.upload_limit,
                attempt_at=self._clock() + error.seconds,
                error=error.failures.dump(),
                **says,
            )
        if says:
            self.on_face()

    async def _later(self, row: Notification, what: str, error: str) -> None:
        self._metrics.deliveries.labels(f"{what}_failed").inc()
        if self._clock() - (row.created_at) > GIVE_UP_SECONDS * 2:
            await self._give_up(row, error)
            return
        async with self._database.write() as connection:
            current = await notifications.get(connection, row.id)
            attempts = row.attempts + 1 if current is None else max(current.attempts, row.attempts + 1)
            await notifications.change(
                connection,
                row.id,
                only=[NotificationState.DUE, NotificationState.SENDING],
                attempts=attempts,
                attempt_at=self._clock() + min(2.0**attempts, LONGEST_PAUSE_SECONDS),
                error=error,
            )


def _is_too_large(error: discord.HTTPException) -> bool:
    return error.status == 413 or error.code == _TOO_LARGE


def _is_final(error: discord.HTTPException) -> bool:
    """Tell whether Discord will say the same again; whether a token has expired is its clock's to say, not ours."""
    return isinstance(error, _CLOSED) or error.code == _EXPIRED_TOKEN


def _content(post: Post, row: Notification, stack: ExitStack) -> dict[str, Any]:
    files = [discord.File(stack.enter_context(file.open_to_send()), filename=name) for file, name in post.files]
    content: dict[str, Any] = {
        "content": post.content,
        "view": post.view,
        "files": files,
        "allowed_mentions": discord.AllowedMentions(
            everyone=False, roles=False, users=[discord.Object(row.user_id)], replied_user=False
        ),
    }
    if post.embed is not None:
        content["embed"] = post.embed
    return content
