"""The program of the model: its own parts, with stub wires."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from bot.answers.acknowledgements import Acknowledgements
from bot.answers.interactions import Interactions
from bot.metrics import Metrics
from bot.replies.abandoned import Abandoned
from bot.replies.delivery import Delivery
from bot.replies.posting import Posting
from bot.replies.posts import Post
from bot.servers.limits import Limits
from bot.settings import Settings
from bot.songs.covers import Covers
from bot.songs.finding import Songs
from bot.songs.library import Library
from bot.tasks.ending import Ending
from bot.tasks.poller import Polling
from bot.tasks.reading import Reading
from bot.tasks.schedule import Schedule
from bot.tasks.submission import Submission
from bot.words import posted
from bot.words.sentences import errors, posts
from storage import tasks as rows
from tests.model.wires import FakeClient

if TYPE_CHECKING:
    from pathlib import Path

    from storage.database import Database
    from tests.model.test_model import Flow


class PlainComposer:
    """Composes without files."""

    async def compose(self, row: Any, task: Any, _directory: Path, **_: Any) -> Post:
        text = (
            errors.failure(task)
            if task.status in rows.ENDED_BADLY
            else posts.result(task, task.title, artwork_only=False, user_id=row.user_id)
        )
        return Post(content=posts.told(row.user_id, text), view=posted.buttons(row.id, posted.Offers()))

    def compose_plain(self, row: Any, task: Any) -> Post:
        return Post(
            content=posts.told(row.user_id, posts.post_refused(task.title)),
            view=posted.buttons(row.id, posted.Offers()),
        )


class NoArchive:
    """Keeps nothing."""

    is_on = False

    async def collect(self) -> None:
        """Nothing to do."""


class Program:
    """One life of the program."""

    def __init__(self, machine: Flow, database: Database) -> None:
        clock, vidgo, discord_ = machine.clock, machine.vidgo, machine.discord
        config = Settings(
            discord_token="a.b.c",
            vidgo_api_key="k",
            public_url=machine.public_url,
            daily_covers_per_user=-1,
            daily_songs_per_user=-1,
        )
        metrics = Metrics()
        schedule = Schedule(database, config, clock=clock, rng=random.Random(1))
        ending = Ending(database, clock=clock, metrics=metrics)
        wire: Any = vidgo
        client: Any = FakeClient(discord_)
        archive: Any = NoArchive()
        composer: Any = PlainComposer()
        self.submission = Submission(database, wire, ending, schedule, config, clock=clock, metrics=metrics)
        self.reading = Reading(database, wire, self.submission, ending, schedule, config, clock=clock, metrics=metrics)
        limits = Limits(database, config, clock)
        songs = Songs(database, wire, ending, limits, clock, version="V5")
        self.covers = Covers(database, songs, limits, clock, discord_.find)
        self.library = Library(database, songs, archive, clock)
        self.songs = songs
        self.acknowledgements = Acknowledgements(database, client, schedule, self.submission, clock)
        self.interactions = Interactions(database, self.acknowledgements, clock, None)
        self.delivery = Delivery(
            database,
            Posting(client, clock),
            composer,
            Abandoned(database, client, self.acknowledgements, clock),
            directory=machine.directory,
            clock=clock,
            metrics=metrics,
        )
        self.works: list[Any] = [Polling(database, self.reading, schedule, clock), self.delivery, self.acknowledgements]
