"""What owners write into settings: understood where the meaning is clear, else refused in words that help."""

from __future__ import annotations

import codecs
import time
from pathlib import Path
from typing import Any

import pytest

from bot.settings import Settings, SettingsError, load_settings

TOKEN = "MTA5.a-token.of-nobody"
KEY = "vg-a-key"
SETUP = "`coverbot setup` asks for what is missing"
KEYS = f"DISCORD_TOKEN={TOKEN}\nVIDGO_API_KEY={KEY}\n"
SECRETS = ("discord_token", "vidgo_api_key", "vidgo_webhook_secret")
LIBRARY = ("Input should", "validation", "pydantic", "Field required", "Value error", "decode")


def refused(folder: Path, lines: str) -> SettingsError:
    """Read settings that are refused."""
    (folder / ".env").write_text(KEYS + lines, "utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert [word for word in LIBRARY if word in str(caught.value)] == []
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (KEYS, "utf-8"),
        (KEYS, "utf-8-sig"),
        (KEYS, "utf-16"),
        (codecs.BOM_UTF16_BE.decode("utf-16-be") + KEYS, "utf-16-be"),
        (KEYS, "utf-16-le"),
        (KEYS, "utf-16-be"),
        (KEYS, "utf-32"),
        (KEYS.replace("\n", "\r\n"), "utf-8"),
        (KEYS.replace("\n", "\r\n"), "utf-16"),
        (f"# für Zoë ✓\n{KEYS}", "utf-16"),
        (f"DISCORD_TOKEN = \"{TOKEN}\"  # the bot\nexport VIDGO_API_KEY='{KEY}'\n", "utf-8"),
        (f"discord_token={TOKEN}\nVidgo_Api_Key={KEY}", "utf-8"),
    ],
)
def test_a_settings_file_is_read_however_an_editor_has_saved_it(folder: Path, text: str, encoding: str) -> None:
    (folder / ".env").write_bytes(text.encode(encoding))
    settings, hints = load_settings()
    assert settings.discord_token.get_secret_value() == TOKEN
    assert settings.vidgo_api_key.get_secret_value() == KEY
    assert hints == []


@pytest.mark.parametrize("around", ["{}\n", "  {}\r\n", '"{}"', "'{}'", " '{} ' ", "\u201c{}\u201d", "\ufeff{}\u200b"])
@pytest.mark.parametrize("name", ["discord_token", "public_url", "listen_port", "log_level"])
def test_what_surrounds_a_value_by_accident_is_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, around: str
) -> None:
    values = {"discord_token": TOKEN, "public_url": "https://covers.example", "listen_port": "81", "log_level": "ERROR"}
    (folder / ".env").write_text(KEYS, "utf-8")
    monkeypatch.setenv(name.upper(), around.format(values[name]))
    found = getattr(load_settings()[0], name)
    assert str(found.get_secret_value() if name in SECRETS else found) == values[name]


@pytest.mark.parametrize("nothing", ["", " ", '""', "''", "\n"])
def test_what_is_empty_is_not_set(folder: Path, monkeypatch: pytest.MonkeyPatch, nothing: str) -> None:
    (folder / ".env").write_text(f"{KEYS}LISTEN_PORT=81\n", "utf-8")
    monkeypatch.setenv("LISTEN_PORT", nothing)
    monkeypatch.setenv("DISCORD_TOKEN", nothing)
    monkeypatch.setenv("PUBLIC_URL", nothing)
    settings, _ = load_settings()
    assert (settings.listen_port, settings.public_url) == (81, None)
    assert settings.discord_token.get_secret_value() == TOKEN


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("ARCHIVE_MAX_BYTES", "5GB", 5_000_000_000),
        ("ARCHIVE_MAX_BYTES", "5 GiB", 5 << 30),
        ("ARCHIVE_MAX_BYTES", "1.5gb", 1_500_000_000),
        ("ARCHIVE_MAX_BYTES", "2g", 2_000_000_000),
        ("ARCHIVE_MAX_BYTES", "0", 0),
        ("ARCHIVE_MAX_BYTES", "5368709120", 5 << 30),
        ("MEDIA_MAX_BYTES", "512MB", 512_000_000),
        ("MEDIA_MAX_BYTES", "512 MiB", 512 << 20),
        ("MEDIA_MAX_BYTES", "512m", 512_000_000),
        ("MEDIA_ALLOW_PRIVATE_HOSTS", "True", True),
        ("MEDIA_ALLOW_PRIVATE_HOSTS", "YES", True),
        ("MEDIA_ALLOW_PRIVATE_HOSTS", "on", True),
        ("MEDIA_ALLOW_PRIVATE_HOSTS", "No", False),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("LOG_LEVEL", "Warn", "WARNING"),
        ("LOG_FORMAT", "JSON", "json"),
        ("LISTEN_HOST", "[::]", "::"),
        ("LISTEN_HOST", "0::0", "::"),
        ("LISTEN_HOST", "localhost", "localhost"),
        ("DISCORD_GUILD_ID", "'1234567890'", 1234567890),
        ("POLL_MIN_SECONDS", "0.5", 0.5),
        ("VIDGO_MUSIC_VERSION", "v4_5plus", "V4_5PLUS"),
        ("PUBLIC_URL", "HTTPS://Bücher.example:443/ü/", "https://xn--bcher-kva.example/%C3%BC"),
        ("PUBLIC_URL", "https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443"),
        ("SUPPORT_URL", "https://help.example/ask?about=bot#top", "https://help.example/ask?about=bot#top"),
        ("VIDGO_MUSIC_VERSION", "V6", "V6"),
    ],
)
def test_values_are_taken_as_they_are_meant(folder: Path, name: str, text: str, value: Any) -> None:
    (folder / ".env").write_text(f"{KEYS}{name}={text}\n", "utf-8")
    assert getattr(load_settings()[0], name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("ARCHIVE_MAX_BYTES", "lots", "must be a size such as 5GB"),
        ("ARCHIVE_MAX_BYTES", "5XB", "must be a size such as 5GB"),
        ("ARCHIVE_MAX_BYTES", "-1", "must be a size such as 5GB"),
        ("ARCHIVE_MAX_BYTES", "5Gbit", "must be a size such as 5GB"),
        ("ARCHIVE_MAX_BYTES", "0.1", "must be a size such as 5GB"),
        ("ARCHIVE_DIR", "~/media", "must be written out"),
        ("ARCHIVE_DIR", "$HOME/media", "must be written out"),
        ("DATABASE_URL", "sqlite:///~/coverbot.db", "must be written out"),
        ("DATABASE_URL", "sqlite:///data/", "must name a file"),
        ("ARCHIVE_DIR", "s3://bucket/songs", "the address of a store belongs into ARCHIVE_URL"),
        ("ARCHIVE_DIR", "file:///srv/media", "must be a folder of this machine"),
        ("DATABASE_URL", "sqlite:///%7E/coverbot.db", "must be written out"),
        ("DATABASE_URL", "sqlite:///%3Amemory:", "must name a file"),
        ("DATABASE_URL", "sqlite:///file:coverbot.db", "must name a file and nothing else"),
        ("DATABASE_URL", "sqlite:///a%00b.db", "must name a file and nothing else"),
        ("LISTEN_HOST", "a..b", "must be an address or name"),
        ("PUBLIC_URL", "https://covers.example:0", "must be an address such as https://example.com"),
        ("SUPPORT_URL", "mailto:help@example.com", "must be an address such as https://example.com"),
        ("ARCHIVE_MAX_BYTES", "900000TB", "must be a size up to 1PiB"),
        ("MEDIA_MAX_BYTES", "0", "must be a size above 0"),
        ("MEDIA_ALLOW_PRIVATE_HOSTS", "perhaps", "must be true or false"),
        ("LOG_LEVEL", "loud", "must be DEBUG, INFO, WARNING, ERROR or CRITICAL"),
        ("LOG_FORMAT", "xml", "must be console or json"),
        ("LISTEN_PORT", "http", "must be a port"),
        ("LISTEN_PORT", "65536", "must be a port"),
        ("LISTEN_HOST", "0.0.0.0:8080", "the port is LISTEN_PORT"),
        ("LISTEN_HOST", "http://localhost", "the port is LISTEN_PORT"),
        ("LISTEN_HOST", "my host", "must be an address or name"),
        ("DISCORD_GUILD_ID", "my server", "must be a server's id"),
        ("DISCORD_GUILD_ID", "0", "must be a server's id"),
        ("POLL_MIN_SECONDS", "soon", "must be a number of seconds"),
        ("POLL_MAX_SECONDS", "inf", "must be a number of seconds"),
        ("POLL_MIN_SECONDS", "61", "POLL_MAX_SECONDS must not be below POLL_MIN_SECONDS"),
        ("TASK_GIVE_UP_SECONDS", "60", "must not be below TASK_TIMEOUT_SECONDS"),
        ("VIDGO_REQUESTS_PER_SECOND", "0", "must be a number from 0.01 to 1000"),
        ("VIDGO_REQUESTS_PER_SECOND", "1e-300", "must be a number from 0.01 to 1000"),
        ("VIDGO_MUSIC_VERSION", "4.5", "must be a model version as VidGo writes it, such as V5 or V4_5PLUS"),
        ("VIDGO_MUSIC_VERSION", "newest", "must be a model version as VidGo writes it"),
        ("DAILY_SONGS_PER_USER", "many", "must be a number of orders a day"),
        ("DAILY_ORDERS_PER_SERVER", "-2", "must be a number of orders a day"),
        ("SUPPORT_URL", "https://help.example/" + "x" * 500, "must be an address of at most 512 characters"),
        ("PUBLIC_URL", "covers.example", "must be an address such as https://example.com"),
        ("PUBLIC_URL", "https://covers.example:port", "must be an address such as https://example.com"),
        ("PUBLIC_URL", "https://[covers", "must be an address such as https://example.com"),
        ("DATABASE_URL", "sqlite:///:memory:", "must name a file"),
        ("DATABASE_URL", "mysql://host/bot", "must look like sqlite:///data/coverbot.db or postgresql://"),
        ("DATABASE_URL", "postgresql://bot:pass@host:port/bot", "must look like postgresql://user:password@host"),
        ("DATABASE_URL", "postgresql://bot:pass?word@host/bot", "write other characters as %40 and so"),
        ("DATABASE_URL", "postgresql://bot:12/34@host/bot", "write other characters as %40 and so"),
        ("DATABASE_URL", "'postgresql://bot:12#34@host/bot'", "write other characters as %40 and so"),
        ("DATABASE_URL", "postgresql://bot:pass@a:5432,b:0/bot", "must look like postgresql://user:password@host"),
        ("DATABASE_URL", "postgresql:bot", "must look like postgresql://user:password@host"),
        ("DATABASE_URL", "postgresql://host/bot?channel_binding=require", "must not ask for channel_binding=require"),
        ("DATABASE_LISTEN_URL", "sqlite:///data/coverbot.db", "must look like postgresql://user:password@host"),
        ("PROCESS_NAME", "my process", "up to 60 letters, digits"),
        ("SHARD_COUNT", "0", "how many shards there are in all, 1 to 16384"),
        ("SHARD_IDS", "3-1", "must be the numbers of shards such as 0-3 or 0,2,4-7"),
        ("SHARD_IDS", "0,,1", "must be the numbers of shards such as 0-3 or 0,2,4-7"),
        ("SHARD_IDS", "0-99999999", "must be the numbers of shards such as 0-3 or 0,2,4-7"),
        ("SHARDS_PER_PROCESS", "all", "how many shards a process runs"),
        ("ARCHIVE_DIR", '"a\\nb"', "holds a line end"),
        ("VIDGO_WEBHOOK_SECRET", "two words", "holds a space, a quote or another character"),
        ("VIDGO_WEBHOOK_SECRET", '"\'half"', "holds a space, a quote or another character"),
    ],
)
def test_what_is_not_clear_is_refused_with_its_name_and_what_was_expected(
    folder: Path, name: str, text: str, words: str
) -> None:
    error = refused(folder, f"{name}={text}\n")
    [problem] = error.problems
    assert name in problem
    assert words in problem
    assert ".env" in problem or "POLL_MAX_SECONDS" in problem


def test_every_setting_says_what_it_should_be() -> None:
    own_words = {"discord_token", "vidgo_api_key", "vidgo_webhook_secret", "discord_api_url", "vidgo_api_url"}
    own_words |= {
        "public_url",
        "listen_host",
        "database_url",
        "database_listen_url",
        "archive_dir",
        "archive_url",
        "owner_ids",
        "shard_ids",
    }
    own_words |= {name for name in Settings.model_fields if name.startswith("aws_")} - {"aws_region"}
    described = {name for name, field in Settings.model_fields.items() if field.description}
    assert described | own_words == set(Settings.model_fields)
    assert not described & own_words


def test_shards_are_named_by_number_and_range(folder: Path) -> None:
    (folder / ".env").write_text("DISCORD_TOKEN=a.b.c\nVIDGO_API_KEY=abc\nSHARD_IDS=4-7, 0,2\n", "utf-8")
    assert load_settings()[0].shard_ids == (0, 2, 4, 5, 6, 7)
    [problem] = refused(folder, "SHARD_IDS=0-3\nSHARD_COUNT=2\n").problems
    assert "SHARD_IDS in .env names shard 3, but SHARD_COUNT says that there are 2" in problem
    [problem] = refused(folder, "SHARD_IDS=0\nSHARDS_PER_PROCESS=2\n").problems
    assert "SHARDS_PER_PROCESS in .env has no use beside SHARD_IDS" in problem


def test_all_that_is_wrong_is_said_at_once_with_where_it_stands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("LISTEN_PORT=none\nPOLL_MIN_SECONDS=100\n", "utf-8")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.problems == [
        "DISCORD_TOKEN is not set",
        "VIDGO_API_KEY is not set",
        "LISTEN_PORT in .env must be a port, a number from 1 to 65535",
        "POLL_MAX_SECONDS must not be below POLL_MIN_SECONDS",
        "LOG_LEVEL in the environment must be DEBUG, INFO, WARNING, ERROR or CRITICAL",
    ]
    assert caught.value.hints == [f"looked for in the environment and {folder}/.env", SETUP]


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.hints == [f"looked for in the environment and {folder}/.env, which is not there", SETUP]
    (folder / ".env").mkdir()
    with pytest.raises(SettingsError, match=r"/\.env, which is a folder;"):
        load_settings()
    (folder / ".env").rmdir()
    (folder / ".env").symlink_to(folder / "nowhere")
    with pytest.raises(SettingsError, match=r"/\.env, which is a link to nothing;"):
        load_settings()


@pytest.mark.parametrize("name", [".env.txt", "env", "env.txt"])
def test_a_file_whose_name_an_editor_has_changed_is_named(folder: Path, name: str) -> None:
    (folder / name).write_text(f"DISCORD_TOKEN={TOKEN}\nVIDGO_API_KEY={KEY}\n", "utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    where = f"{folder}/.env, which is not there, but {name} is; rename it to .env"
    assert caught.value.hints == [f"looked for in the environment and {where}", SETUP]


def test_names_that_are_nearly_right_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text(
        f"DISCORD_TOKN={TOKEN}\nVIDGO_API_KEY={KEY}\nLISTEN_PORT=81\nLISTEN_PORTS=82\nTZ=UTC\n", "utf-8"
    )
    monkeypatch.setenv("PUBLIC_URI", "https://covers.example")
    monkeypatch.setenv("LISTEN_FDS", "1")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.hints[1:] == [
        "PUBLIC_URI in the environment is no setting; did you mean PUBLIC_URL?",
        "DISCORD_TOKN in .env is no setting; did you mean DISCORD_TOKEN?",
        SETUP,
    ]
    monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
    assert load_settings()[1] == ["PUBLIC_URI in the environment is no setting; did you mean PUBLIC_URL?"]


def test_whoever_looks_closely_is_told_each_other_name_and_who_may_read_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / ".env"
    file.write_text(f"{KEYS}LISTEN_PORT=81\nLISTEN_PORTS=82\nPUBLIC_URI=https://covers.example\nTZ=UTC\n", "utf-8")
    file.chmod(0o644)
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert load_settings(thorough=True)[1] == [
        "PUBLIC_URI in .env is no setting; did you mean PUBLIC_URL?",
        "LISTEN_PORTS in .env is no setting; did you mean LISTEN_PORT?",
        "TZ in .env is no setting of Coverbot's",
        ".env can be opened by every user of this machine (mode 644); chmod 600 .env",
    ]
    file.write_text(KEYS, "utf-8")
    file.chmod(0o640)
    assert load_settings(thorough=True)[1] == []


def test_a_file_full_of_other_names_is_read_at_once(folder: Path) -> None:
    file = folder / ".env"
    file.write_text(KEYS + "".join(f"OF_ANOTHER_PROGRAM_{number}=1\n" for number in range(20_000)))
    file.chmod(0o600)
    began = time.process_time()
    hints = load_settings(thorough=True)[1]
    assert time.process_time() - began < 10  # it was 40 s
    assert hints[-1] == "19,500 more names in .env are no settings of Coverbot's"
    assert len(hints) == 501


@pytest.mark.parametrize("later", ["LOG_LEVEL=ERROR", "log_level=ERROR", "Log_Level=DEBUG\nLOG_LEVEL=ERROR"])
def test_of_a_setting_that_stands_twice_the_last_one_counts_and_that_is_told(folder: Path, later: str) -> None:
    (folder / ".env").write_text(f"\nLOG_LEVEL=INFO\n{KEYS}\n\n{later}\n")
    settings, hints = load_settings()
    assert settings.log_level == "ERROR"
    where = "2, 7, 8" if "DEBUG" in later else "2, 7"
    assert hints == [f"LOG_LEVEL stands in lines {where} of .env; the last one counts"]


def test_one_setting_may_name_another(folder: Path) -> None:
    (folder / ".env").write_text(KEYS + "PLACE=/srv/bot\nARCHIVE_DIR=${PLACE}/media\n")
    assert load_settings()[0].archive_dir == Path("/srv/bot/media")


def test_lines_that_say_nothing_are_told_without_what_stands_in_them(folder: Path) -> None:
    (folder / ".env").write_text(f"{KEYS}\nPUBLIC_URL: https://a.example\nsome words {TOKEN}\n", "utf-8")
    _, hints = load_settings()
    assert hints == [
        "line 4 of .env is left out, for it does not read PUBLIC_URL=value",
        "line 5 of .env is left out, for it does not read NAME=value",
    ]


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        (TOKEN, "NAME"),  # the end of a key that an editor has broken off, or a key by itself
        (f"export {TOKEN}", "NAME"),
        (f"DISCORD_TOKEN:{TOKEN}", "DISCORD_TOKEN"),
        (f"DISCORD_TOKEN:{TOKEN}=1", "DISCORD_TOKEN"),
        (f"'DISCORD_TOKEN\n{TOKEN}'=1", "DISCORD_TOKEN"),
        (f'$env:VIDGO_API_KEY="{KEY}"', "VIDGO_API_KEY"),
        ("UzNjcjN0L1ZhbHVlK29mPU5vYm9keQ==", "NAME"),
        (f"https://user:{KEY}@host/?key=1", "NAME"),
        ("\x1b[31mRED=1", "NAME"),
    ],
)
def test_a_key_that_stands_where_a_name_should_is_told_to_nobody(folder: Path, line: str, meant: str) -> None:
    (folder / ".env").write_text(f"{line}\n", "utf-8")
    (folder / ".env").chmod(0o600)
    with pytest.raises(SettingsError) as caught:
        load_settings(thorough=True)
    assert caught.value.hints[1:] == [f"line 1 of .env is left out, for it does not read {meant}=value", SETUP]


def test_a_certificate_among_the_settings_is_not_told_line_by_line(folder: Path) -> None:
    (folder / ".env").write_text(KEYS + "MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBa\n" * 5_000, "utf-8")
    _, hints = load_settings()
    assert hints[0] == "line 3 of .env is left out, for it does not read NAME=value"
    assert hints[10:] == ["4,990 more lines of .env are left out, for they do not read NAME=value"]


def test_a_setting_is_not_undone_by_its_bare_name(folder: Path) -> None:
    (folder / ".env").write_text(f"{KEYS}DISCORD_TOKEN\n", "utf-8")
    settings, hints = load_settings()
    assert settings.discord_token.get_secret_value() == TOKEN
    assert hints == ["line 3 of .env is left out, for it does not read DISCORD_TOKEN=value"]


def test_what_is_set_to_nothing_is_no_slip(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text(f"{KEYS}PUBLIC_URI=\nTZ=\n{TOKEN.replace('.', '')}=\n", "utf-8")
    (folder / ".env").chmod(0o600)
    monkeypatch.setenv("PUBLIC\n_URI", "https://covers.example")
    assert load_settings(thorough=True)[1] == []


@pytest.mark.parametrize("data", [b"DISCORD_TOKEN=\xff\xfe\n", b"# f\xfcr mich\n", codecs.BOM_UTF16_LE + b"\x00\xd8"])
def test_a_file_that_is_no_text_is_named(folder: Path, data: bytes) -> None:
    (folder / ".env").write_bytes(data)
    with pytest.raises(SettingsError, match=r"^\.env is no text that can be read; save it as UTF-8$"):
        load_settings()


def test_a_stray_zero_does_not_make_a_file_another_one(folder: Path) -> None:
    assert "LOG_LEVEL in .env holds a line end or another control character" in str(
        refused(folder, "LOG_LEVEL=DE\0BUG\n")
    )
