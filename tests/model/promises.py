"""What members are promised, held against what the wires have seen and what the database says."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from bot.vidgo import Status
from tests.faults.audit.sentences import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from storage.database import Database, Snapshot
    from tests.model.wires import FakeDiscord, FakeInteraction, FakeVidGo

COVER, SONG = "generate-music-cover", "generate-music"


@dataclass(frozen=True)
class Asked:
    """What members asked for: their commands, how often each prompt, and who was forgotten after how many messages."""

    commands: Sequence[FakeInteraction]
    prompts: Mapping[str, int]
    forgotten: Mapping[int, int]


async def broken(database: Database, vidgo: FakeVidGo, discord: FakeDiscord, asked: Asked) -> list[str]:
    """Return which promises are broken."""
    async with database.read() as snapshot:
        query = "SELECT id, vidgo_id, model, status, error_kind, request FROM tasks"
        tasks = [row._asdict() for row in await snapshot.execute(text(query))]
        ordered = await _ordered_by(snapshot)
    return [
        *_said(discord, asked),
        *_paid(vidgo, asked),
        *_ends(vidgo, tasks),
        *(
            f"{one.id} was told that nothing was ordered: {said.content}"
            for one in asked.commands
            for said in one.said
            if one.id in ordered and "othing was ordered" in said.content
        ),
    ]


async def left_open(database: Database) -> list[str]:
    """Return the rows that somebody would still have to work on."""
    async with database.read() as snapshot:
        tasks = await snapshot.execute(
            text("SELECT id || status FROM tasks WHERE status IN ('queued', 'submitting', 'waiting', 'running')")
        )
        told = await snapshot.execute(
            text(
                "SELECT id || state || coalesce(ack_wanted, '') || coalesce(error, '') FROM notifications "
                "WHERE state IN ('asked', 'waiting', 'due', 'sending') OR ack_wanted IS NOT NULL "
                "OR interaction_token IS NOT NULL"
            )
        )
        return [str(row[0]) for row in [*tasks, *told]]


async def _ordered_by(snapshot: Snapshot) -> set[int]:
    query = "SELECT interaction_id FROM notifications WHERE task_id IS NOT NULL AND interaction_id IS NOT NULL"
    return {row[0] for row in await snapshot.execute(text(query))}


def _said(discord: FakeDiscord, asked: Asked) -> Iterator[str]:
    posted = Counter(button for one in discord.messages for button in one.buttons if button.startswith("remove:"))
    yield from (f"{button} was posted {times} times" for button, times in posted.items() if times > 1)
    for one in discord.messages:
        if parse(one.content)[1] is None:
            yield f"nobody has written: {one.content}"
    for member, before in asked.forgotten.items():
        for one in discord.messages[before:]:
            if f"<@{member}>" in one.content and not one.deleted:
                yield f"{member} was forgotten, and is spoken of: {one.content}"


def _paid(vidgo: FakeVidGo, asked: Asked) -> Iterator[str]:
    made = Counter(_key(model, request) for model, request in vidgo.taken.values())
    for (model, key), times in made.items():
        if times > (1 if model == COVER else asked.prompts[key]):
            yield f"{model} of {key} was paid {times} times"


def _ends(vidgo: FakeVidGo, tasks: list[dict[str, Any]]) -> Iterator[str]:
    sent = {_key(model, request) for model, request in vidgo.sent}
    failed = {_key(*vidgo.taken[one.id]) for one in vidgo.made.values() if one.status is Status.FAILED}
    for row in tasks:
        made = vidgo.made.get(row["vidgo_id"])
        name = f"task {row['id']} ({row['status']} {row['error_kind']})"
        asked_for = _key(row["model"], json.loads(row["request"]))
        if asked_for[1] == "None":  # of somebody who was forgotten: nobody knows what it was
            continue
        if row["error_kind"] in ("lost", "nonsense") and asked_for not in sent:
            yield f"{name} is called in doubt, and VidGo was never sent it"
        if row["status"] == "finished" and (made is None or made.status is not Status.FINISHED):
            yield f"{name} was never finished"
        if row["error_kind"] == "failed" and asked_for not in failed:
            yield f"{name} has not failed"


def _key(model: str, request: Mapping[str, Any]) -> tuple[str, str]:
    return model, str(request.get("task_id" if model == COVER else "prompt"))
