"""Addresses of songs: made by whoever has their key, for a while, and by nobody else."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import pytest

from bot.media.links import DOWNLOAD_SECONDS, FETCH_SECONDS, LONGEST_SECONDS, Links
from bot.settings import Settings
from bot.tasks.new import new_task
from bot.vidgo import GenerateMusic
from storage.tasks import Task
from tests.storage.songs import NOW

SETTINGS = Settings(_env_file=None, discord_token="a.b.c", vidgo_api_key="key", public_url="https://covers.example.com")


def song() -> Task:
    return new_task(GenerateMusic(prompt="a song"), now=NOW, user_id=1, guild_id=None, title="Song")


def links(now: float = NOW) -> Links:
    return Links(SETTINGS, lambda: now)


def parts(address: str) -> tuple[str, int, int, str]:
    task, position, expires, signature = address.removeprefix("https://covers.example.com/media/").split("/")[:4]
    return task, int(position), int(expires), signature


@pytest.mark.parametrize("seconds", [FETCH_SECONDS, DOWNLOAD_SECONDS])
def test_an_address_works_until_it_expires(seconds: float) -> None:
    task = song()
    made = links().make(task, 1, seconds)
    assert made is not None
    named, position, expires, signature = parts(made[0])
    assert (named, position, expires, made[1]) == (task.id, 1, NOW + seconds, NOW + seconds)
    assert links().holds(task, 1, expires, signature)
    assert links(NOW + seconds - 1).holds(task, 1, expires, signature)
    assert not links(NOW + seconds).holds(task, 1, expires, signature)
    assert not links().holds(task, 0, expires, signature)
    assert not links().holds(task, 1, expires + 1, signature)
    assert not links().holds(song(), 1, expires, signature)
    assert not links().holds(task, 1, expires, "é" + signature[1:])


def forged(key: str, task: Task, expires: int) -> str:
    return hmac.new(key.encode(), f"media/{task.id}/0/{expires}".encode(), hashlib.sha256).hexdigest()


def test_the_address_of_a_callback_makes_no_address_of_a_song() -> None:
    task = song()
    expires = int(NOW + 3600)
    assert links().holds(task, 0, expires, forged(task.media_key, task, expires))
    assert not links().holds(task, 0, expires, forged(task.token, task, expires))
    assert task.media_key not in {task.token, song().media_key}
    assert len(task.media_key) >= 43


def test_nothing_is_taken_that_would_expire_later_than_anything_that_is_made() -> None:
    task = song()
    for seconds, holds in (
        (DOWNLOAD_SECONDS, True),
        (LONGEST_SECONDS, True),
        (LONGEST_SECONDS + 1, False),
        (1e11, False),
    ):
        expires = int(NOW + seconds)
        assert links().holds(task, 0, expires, forged(task.media_key, task, expires)) is holds


def test_a_task_without_a_key_has_no_addresses() -> None:
    task = replace(song(), media_key="")
    expires = int(NOW + 3600)
    assert links().make(task, 0, 3600) is None
    assert not links().holds(task, 0, expires, forged("", task, expires))
