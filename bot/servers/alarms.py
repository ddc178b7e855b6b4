"""The worker that tells the owner what only the owner can mend, by direct message, and when it is over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

import discord

from bot.refusals import FAILURES, UNREACHABLE, Refusal, explain, meaning_of
from bot.servers import letters
from bot.words.sentences import owners
from bot.words.text import Text, speaking
from bot.worker import Worker
from storage.database import Database
from storage.planned import Due
from storage.schema import AlarmKind, AlarmState
from storage.servers import alarms as rows
from storage.servers.alarms import Alarm
from storage.wakeups import Queue

log = logging.getLogger(__name__)

PAUSES = (5.0, 15.0, 60.0, 300.0)
"""Seconds until it is tried again where Discord is out of reach."""


class Alarms:
    """Tells whoever `owner_ids` names, or the owners of the application.

    It is written down before that somebody is about to be told, and after each one who was.
    """

    def __init__(
        self, database: Database, client: discord.Client, owner_ids: Sequence[int], clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._client = client
        self._owner_ids = owner_ids
        self._clock = clock
        self._failures = 0

    async def claim(self, skip: Collection[str], limit: int) -> list[Due]:
        """Return the kinds of which there is something to tell; one process alone tells."""
        if not self._database.leads:
            return []
        async with self._database.read() as snapshot:
            return await rows.claim(snapshot, self._clock(), skip, limit)

    async def next_due(self, skip: Collection[str]) -> float | None:
        """Return when there is something to tell next."""
        if not self._database.leads:
            return None
        async with self._database.read() as snapshot:
            return await rows.next_due(snapshot, skip)

    async def do(self, item: str) -> None:
        """Tell that something has begun, or that it is over."""
        kind = AlarmKind(item)
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        now = self._clock()
        async with self._database.write() as transaction:
            alarm, again = await rows.send(transaction, kind, now, now + pause)
        try:
            people = await self._people(alarm)
        except UNREACHABLE as error:
            self._put_off(kind, error)
            return
        if not people and alarm.state is AlarmState.RAISED:
            log.warning("%s: there is no owner who could be told; OWNER_IDS can name one", kind)
        late = [failure for person in people if (failure := await self._tell(alarm, person, again=again)) is not None]
        if late:
            self._put_off(kind, late[0])
            return
        self._failures = 0
        async with self._database.write() as transaction:
            await rows.done(transaction, kind, alarm.state, self._clock())

    def _put_off(self, kind: AlarmKind, error: Exception) -> None:
        self._failures += 1
        log.warning("%s: the owner could not be told yet: %s", kind, explain(error))

    async def _people(self, alarm: Alarm) -> list[int]:
        """Return who has to be told and was not; raises what asking Discord may."""
        if alarm.state is AlarmState.OVER:
            return alarm.knowing
        people = self._owner_ids or await self._owners()
        return [person for person in people if str(person) not in alarm.told]

    async def _owners(self) -> list[int]:
        application = await self._client.application_info()
        if application.team is None:
            return [application.owner.id]
        accepted = discord.TeamMembershipState.accepted
        return [member.id for member in application.team.members if member.membership_state is accepted]

    async def _tell(self, alarm: Alarm, person: int, *, again: bool) -> Exception | None:
        """Tell one person, and return why that has to be tried again; who takes no messages is left alone."""
        text = _text(alarm)
        async with self._database.read() as snapshot:
            locale = await rows.locale_of(snapshot, person)
        could = True
        try:
            channel = await self._client.create_dm(discord.Object(person))
            if not (again and await self._was_told(channel, text, alarm)):
                with speaking(locale or "en-US"):
                    await letters.send(
                        channel, str(text), letters.nonce(alarm.kind, alarm.state, alarm.sent_at, person)
                    )
        except FAILURES as error:
            if meaning_of(error) is Refusal.LATER:
                return error
            log.warning("%s: the owner %d takes no direct message: %s", alarm.kind, person, explain(error))
            could = False
        else:
            log.info("%s: the owner %d was told (%s)", alarm.kind, person, alarm.state)
        async with self._database.write() as transaction:
            await rows.know(transaction, alarm.kind, alarm.state, person, could=could)
        return None

    async def _was_told(self, channel: discord.DMChannel, text: Text, alarm: Alarm) -> bool:
        assert self._client.user is not None  # noqa: S101 (workers start after the login)
        said = letters.in_all_languages(lambda: text)
        return await letters.was_sent(channel, self._client.user.id, said, alarm.sent_at or 0.0)


def _text(alarm: Alarm) -> Text:
    say = owners.ends if alarm.state is AlarmState.OVER else owners.begins
    return say(alarm.kind, alarm.since, alarm.details)


def make_alarms(alarms: Alarms, database: Database, clock: Callable[[], float]) -> Worker:
    """Make the worker."""
    return Worker(Queue.ALARMS, alarms, database.wakeups, places=len(AlarmKind), clock=clock)
