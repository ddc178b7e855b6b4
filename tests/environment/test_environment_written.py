"""How keys are written into a file of settings: where they stand, all or nothing, for nobody else to read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bot.environment import write_environment
from bot.settings import load_settings
from tests.killed import die_at_each_step

TOKEN = "MTA5.a-token.of-nobody"
KEY = "vg-a-key"
KEYS = f"DISCORD_TOKEN={TOKEN}\nVIDGO_API_KEY={KEY}\n"
NEW = {"DISCORD_TOKEN": "MTA5.new#token$x", "VIDGO_API_KEY": "vg-new"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "DISCORD_TOKEN={t}\nVIDGO_API_KEY={k}\n"),
        ("# mine\n\nLOG_LEVEL=DEBUG", "# mine\n\nLOG_LEVEL=DEBUG\nDISCORD_TOKEN={t}\nVIDGO_API_KEY={k}\n"),
        (
            "\n# a\nexport DISCORD_TOKEN = 'old one'  # b\r\n#VIDGO_API_KEY=c\r\nvidgo_api_key=\r\nwhat is this\r\n",
            "\n# a\nexport DISCORD_TOKEN={t}  # b\r\n#VIDGO_API_KEY=c\r\nvidgo_api_key={k}\r\nwhat is this\r\n",
        ),
        (
            'VIDGO_API_KEY\nDISCORD_TOKEN="a\nb" # two lines\nDISCORD_TOKEN=again#x\n',
            "VIDGO_API_KEY={k}\nDISCORD_TOKEN={t} # two lines\nDISCORD_TOKEN={t}\n",
        ),
        ("X=1\r\nDISCORD_TOKEN=a", "X=1\r\nDISCORD_TOKEN={t}\r\nVIDGO_API_KEY={k}\r\n"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_keys_are_written_where_they_stand_and_all_else_stays(
    folder: Path, before: str, after: str, encoding: str
) -> None:
    file = folder / ".env"
    if before:
        file.write_bytes(before.encode(encoding))
        file.chmod(0o644)
    write_environment(NEW, file)
    assert file.read_bytes().decode() == after.format(t=NEW["DISCORD_TOKEN"], k=NEW["VIDGO_API_KEY"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(folder.iterdir()) == [file]
    settings = load_settings()[0]
    assert settings.discord_token.get_secret_value() == NEW["DISCORD_TOKEN"]
    assert settings.vidgo_api_key.get_secret_value() == NEW["VIDGO_API_KEY"]


def test_a_link_stays_a_link(folder: Path) -> None:
    (folder / "elsewhere").write_text("LOG_LEVEL=DEBUG\n")
    (folder / ".env").symlink_to("elsewhere")
    write_environment(NEW, folder / ".env")
    assert (folder / ".env").is_symlink()
    assert load_settings()[0].log_level == "DEBUG"


def test_what_cannot_be_written_as_it_is_meant_changes_nothing(folder: Path) -> None:
    file = folder / ".env"
    file.write_text(KEYS)
    for value in ("two\nlines", "${HOME}", "a #b"):
        with pytest.raises(ValueError, match="DISCORD_TOKEN"):
            write_environment({"DISCORD_TOKEN": value}, file)
    assert file.read_text() == KEYS
    assert list(folder.iterdir()) == [file]
    file.unlink()
    file.mkdir()
    with pytest.raises(ValueError, match="no file"):
        write_environment(NEW, file)
    file.rmdir()
    file.symlink_to(file.name)
    with pytest.raises(ValueError, match="a link that leads to itself"):
        write_environment(NEW, file)


def test_a_death_while_writing_leaves_the_old_file_or_the_new_one(folder: Path) -> None:
    file = folder / ".env"
    file.write_text(KEYS)
    ends = die_at_each_step(lambda: write_environment(NEW, file), file.read_text)
    assert ends[0] == KEYS
    assert ends[-1] == KEYS.replace(TOKEN, NEW["DISCORD_TOKEN"]).replace(KEY, NEW["VIDGO_API_KEY"])
    assert len(set(ends)) == 2
