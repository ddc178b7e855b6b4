"""`backup`, `restore` and `export` beside a bot that runs, and where none does."""

from __future__ import annotations

import asyncio
import json
import stat
from typing import TYPE_CHECKING

import pytest

from tests.cli.terminal import at_terminal, ended
from tests.end_to_end.process import run_program
from tests.end_to_end.world import KEY, TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.process import Ended
    from tests.end_to_end.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def run(world: World, *arguments: str) -> Ended:
    done = await run_program(world.bot.directory, world.bot.settings, *arguments)
    assert "Traceback" not in done.err
    return done


async def test_what_was_backed_up_while_the_bot_ran_comes_back(calling: World, tmp_path: Path) -> None:
    ada, backup = calling.person("ada"), tmp_path / "backup.db"
    song = await ada.imports("Kept")
    await ada.covered(song.id)
    done = await run(calling, "backup", str(backup))
    assert (done.code, done.err) == (0, "")
    assert "songs in libraries, and the list of" in done.out
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    await ada.imports("Lost")
    refused = await run(calling, "restore", str(backup))
    assert (refused.code, len(refused.lines)) == (1, 1)
    assert "in use by another running Coverbot; stop that one first" in refused.err
    there = await run(calling, "backup", str(backup))
    assert (there.code, there.lines) == (
        1,
        [f"coverbot: {backup} is there already; choose another name, or replace it with --force"],
    )
    await calling.bot.stop()
    restored = await run(calling, "restore", str(backup))
    assert (restored.code, restored.err) == (0, "")
    assert "The database before it is now " in restored.out
    assert "ordered once more, and may be paid for once more" in restored.out
    await calling.bot.start()
    assert [choice.name.split(" · ")[0] for choice in await ada.type_track("")][:1] == ["Kept"]
    titles = {row["title"] for row in calling.rows("SELECT title FROM library WHERE user_id = ?", ada.member.user.id)}
    assert titles == {"Kept"}
    assert (await run(calling, "backup", "--force", str(backup))).code == 0


async def test_somebody_at_a_terminal_is_asked_before_a_file_is_replaced(calling: World, tmp_path: Path) -> None:
    backup = tmp_path / "letter.db"
    backup.write_text("a letter")
    for answer, code in (("n", 1), ("y", 0)):
        async with at_terminal(calling.bot.directory, calling.bot.settings, "backup", str(backup)) as (
            terminal,
            process,
        ):
            await terminal.reads(r"is there already; replace it\? \[y/N\] ")
            assert backup.read_text(errors="replace") == "a letter"
            terminal.types(f"{answer}\n")
            assert await ended(process) == code
    assert backup.read_bytes().startswith(b"SQLite format 3")


async def test_everything_about_one_person_is_exported_while_the_bot_runs(calling: World) -> None:
    ada, bob = calling.person("ada"), calling.person("bob")
    song = await ada.imports("Of Ada")
    await ada.covered(song.id)
    await bob.imports("Of Bob")
    done = await run(calling, "export", str(ada.member.user.id))
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert found["user_id"] == str(ada.member.user.id)
    assert {row["title"] for row in found["library"]} == {"Of Ada"}
    assert {row["user_id"] for name in ("tasks", "library", "notifications") for row in found[name]} == {
        str(ada.member.user.id)
    }
    assert "Of Bob" not in done.out
    assert str(bob.member.user.id) not in done.out
    secrets = [value for row in calling.rows("SELECT token, media_key FROM tasks") for value in row.values() if value]
    secrets += [TOKEN, KEY, *calling.discord.state.calls_by_token]
    assert [secret for secret in secrets if secret in done.out] == []


async def test_what_cannot_be_exported_is_told(calling: World, tmp_path: Path) -> None:
    elsewhere = {**calling.bot.settings, "DATABASE_URL": f"sqlite:///{tmp_path}/none.db"}
    for command in (("export", "123"), ("backup", str(tmp_path / "made.db"))):
        done = await run_program(tmp_path, elsewhere, *command)
        assert (done.code, done.lines) == (1, [f"coverbot: there is no database {tmp_path}/none.db"])
    left = await asyncio.to_thread(lambda: list(tmp_path.iterdir()))
    assert left == []
    assert (await run(calling, "export", "ada")).code == 2
