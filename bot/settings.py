"""Everything that an owner can set, and what it may be."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from bot import addresses, version
from bot.environment import Environment, read_environment
from storage.database import Server, is_postgresql

MOST_SHARDS = 16_384

SHORTEST_PASSWORD = 12
"""From how many letters on a password is no word."""


class SettingsError(Exception):
    """Settings are missing or wrong; the text is one line that names them and never holds a secret.

    `problems` has a sentence for each, `hints` what may be behind them.
    """

    def __init__(self, *problems: str, hints: Iterable[str] = ()) -> None:
        self.problems = list(problems)
        self.hints = list(hints)
        super().__init__("; ".join([*self.problems, *self.hints]))


def _secret(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!#-&(-\[\]-~]+", value.get_secret_value()):
        raise ValueError("holds a space, a quote or another character that no key has, copy it again")
    return value


def _size(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        # The library reads `5,000,000` as 5, for it looks at the beginning alone, and knows bits.
        if re.fullmatch(r"[0-9_]*\.?[0-9]+\s*([kmgtpe]?i?b|[kmgt])?", value, re.ASCII | re.IGNORECASE):
            # `5G` means `5GB`, which the library does not know.
            text = re.sub(r"(?<=[\d\s])([kmgtKMGT])\Z", r"\1B", value)
            size = int(TypeAdapter(ByteSize).validate_python(text))
            if size or not re.search("[1-9]", value):  # what is less than a byte is no way to write 0
                return size
    except ValidationError:
        pass
    raise ValueError("must be a size such as 5GB, 512MB or 5368709120 (bytes)")


def _level(value: Any) -> Any:
    name = str(value).upper()
    return {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(name, name)


DailyLimit = Annotated[
    int, Field(ge=-1, le=1_000_000, description="a number of orders a day; 0 allows none, -1 as many as anybody wants")
]


def _ids(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    names = [name.strip() for name in value.split(",") if name.strip()]
    if not all(re.fullmatch(r"[0-9]{1,19}", name) and 0 < int(name) < 1 << 63 for name in names):
        raise ValueError("must be ids of people, numbers of 17 to 20 digits with commas in between")
    return tuple(dict.fromkeys(map(int, names))) or None


def _shard_ids(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found: set[int] = set()
    for part in value.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,5})\s*(?:-\s*([0-9]{1,5})\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise ValueError("must be the numbers of shards such as 0-3 or 0,2,4-7, counted from 0")
        found.update(range(first, last + 1))
    return tuple(sorted(found))


Link = Annotated[str, AfterValidator(addresses.link)]
HttpUrl = Annotated[str, AfterValidator(addresses.http_url)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
Size = Annotated[int, BeforeValidator(_size)]
Seconds = Annotated[
    float,
    Field(
        gt=0, le=30 * 86400, allow_inf_nan=False, description="a number of seconds such as 5 or 0.5, at most 30 days"
    ),
]


class Settings(BaseModel):
    """The settings of the contract. A `description` is what a value that does not fit should have been.

    What stands under each is what its owner reads: `make docs` makes docs/configuration.md of it.
    """

    model_config = ConfigDict(frozen=True, validate_default=True, hide_input_in_errors=True)

    discord_token: Secret
    """The bot's token."""
    discord_api_url: HttpUrl = "https://discord.com/api/v10"
    """Where Discord's REST API is. Only tests change it."""
    discord_guild_id: Annotated[
        int | None, Field(gt=0, lt=1 << 63, description="a server's id, a number of 17 to 20 digits")
    ] = None
    """The commands appear in this one server, at once, instead of everywhere."""
    vidgo_api_key: Secret
    """The API key."""
    vidgo_api_url: HttpUrl = "https://api.vidgo.ai"
    """Where VidGo's API is, or any server that speaks the same; PoYo's does (`https://api.poyo.ai`)."""
    vidgo_requests_per_second: Annotated[
        float,
        Field(ge=0.01, le=1000, allow_inf_nan=False, description="a number from 0.01 to 1000, such as 5 or 0.5"),
    ] = 5
    """How many requests a second go to VidGo at most."""
    vidgo_music_version: Annotated[
        str,
        BeforeValidator(lambda value: str(value).upper()),
        Field(
            pattern=r"^V[0-9]{1,2}(_[0-9A-Z]{1,12}){0,3}$",
            description="a model version as VidGo writes it, such as V5 or V4_5PLUS",
        ),
    ] = "V5"
    """The version of VidGo's model (its `mv`) for new songs, continuations and new versions: `V4`, `V4_5`, `V4_5PLUS`,
    `V4_5ALL`, `V5`, or whatever VidGo adds. `V4` takes shorter lyrics and styles, `V4_5ALL` makes new versions of
    recordings of at most a minute."""
    vidgo_webhook_secret: Secret | None = None
    """If set, callbacks that carry signature headers are verified with it."""
    public_url: HttpUrl | None = None
    """Where VidGo reaches the bot from outside, such as `https://covers.example.com`. Results then arrive faster,
    old songs can become new versions and be downloaded, and VidGo gets members' recordings from here. Left out: the
    bot asks VidGo, and needs nothing open to the outside; see [deploying](deploying.md#a-public-address)."""
    listen_host: Annotated[str, AfterValidator(addresses.host)] = "127.0.0.1"
    """Where the bot listens for callbacks, health checks and metrics. `0.0.0.0` is everywhere, `::` everywhere with
    IPv6 too. The Docker image sets `0.0.0.0`."""
    listen_port: Annotated[int, Field(ge=0, le=65535, description="a port, a number from 1 to 65535")] = 8080
    """The port of it."""
    database_url: Annotated[str, AfterValidator(addresses.database_url), Field(repr=False)] = (
        "sqlite:///data/coverbot.db"
    )
    """The database file. Give it a folder of its own. Or a PostgreSQL server, as
    `postgresql://user:password@host/coverbot`; see [scaling](scaling.md)."""
    database_listen_url: Annotated[str | None, AfterValidator(addresses.listen_url), Field(repr=False)] = None
    """PostgreSQL only: an address past a connection pooler, over which processes wake each other. Left out:
    `DATABASE_URL`."""
    database_pooled: Annotated[bool, Field(description="true or false")] = False
    """PostgreSQL only: `DATABASE_URL` goes through a pooler in transaction mode, such as PgBouncer; then no statement
    is prepared."""
    process_name: Annotated[
        str | None, Field(pattern=r"^[A-Za-z0-9_.:@-]{1,60}$", description="up to 60 letters, digits and . _ - : @")
    ] = None
    """PostgreSQL only: how this process calls itself at the server and in the log. Left out: host name and process
    id."""
    shard_count: Annotated[
        int | None, Field(ge=1, le=MOST_SHARDS, description=f"how many shards there are in all, 1 to {MOST_SHARDS}")
    ] = None
    """How many shards the gateway has in all. Left out: what Discord recommends."""
    shard_ids: Annotated[tuple[int, ...] | None, BeforeValidator(_shard_ids)] = None
    """Which of them this process runs, such as `0-3` or `0,2,4-7`. Left out: all of them; with PostgreSQL a block that
    no other process runs, or none while there is none."""
    shards_per_process: Annotated[
        int | None, Field(ge=1, le=MOST_SHARDS, description=f"how many shards a process runs, 1 to {MOST_SHARDS}")
    ] = None
    """PostgreSQL only: how many shards a block has. Left out: all of them, so that a second process stands by."""
    archive_dir: Annotated[Path, AfterValidator(addresses.folder)] = Path("data/media")
    """Where audio and artwork are kept. Give it a folder of its own."""
    archive_max_bytes: Annotated[Size, Field(ge=0, le=1 << 50, description="a size up to 1PiB; 0 keeps nothing")] = (
        5368709120
    )
    """How much is kept there (5 GiB); the least recently used goes first. `0` switches the archive off."""
    archive_url: Annotated[str | None, AfterValidator(lambda value: value and addresses.archive_url(value))] = None
    """`s3://bucket/prefix`: audio and artwork are kept in an S3-compatible store instead, under a prefix of their own.
    See [operating](operating.md#the-archive-in-a-store)."""
    aws_access_key_id: Secret | None = None
    """The store's key. Without one the machine's own role is used. The settings that begin with AWS are read only
    where `ARCHIVE_URL` is set."""
    aws_secret_access_key: Secret | None = None
    """The secret that belongs to it."""
    aws_session_token: Secret | None = None
    """And its token, where the key is a temporary one."""
    aws_region: Annotated[str | None, Field(pattern="^[A-Za-z0-9-]{1,60}$", description="such as us-east-1")] = None
    """The store's region; left out: `us-east-1`."""
    aws_endpoint_url: HttpUrl | None = None
    """Where the store is, if it is not Amazon's, such as `https://s3.example.com`. Members and VidGo fetch songs
    there, so it has to be reachable from outside if `PUBLIC_URL` is set."""
    poll_min_seconds: Seconds = 5
    """A task is asked about no more often than this, in seconds."""
    poll_max_seconds: Seconds = 60
    """A task is asked about at least this often, in seconds."""
    task_timeout_seconds: Seconds = 1800
    """After so many seconds the member is told that it takes longer than usual. The bot keeps watching."""
    task_give_up_seconds: Seconds = 86400
    """After so many seconds a task is given up, and the member is told."""
    daily_covers_per_user: DailyLimit = 20
    """How many covers without a style a member may order in a day (UTC's), in each server; 0 = none, -1 = no limit. A
    server's managers can set another number."""
    daily_songs_per_user: DailyLimit = 5
    """The same for everything that makes new audio: covers with a style, new songs, continuations."""
    daily_orders_per_server: DailyLimit = -1
    """How many orders all members of one server may make in a day; nobody but you can change it."""
    support_url: Annotated[Link | None, Field(max_length=512, description="an address of at most 512 characters")] = (
        None
    )
    """Where members get help; a button under errors and in `/help` leads there."""
    credits_warning: Annotated[
        float, Field(ge=0, le=1e9, allow_inf_nan=False, description="a number of credits such as 100; 0 never warns")
    ] = 100
    """The owner gets a message when the account has fewer credits than this. `0` switches that off."""
    owner_ids: Annotated[tuple[int, ...] | None, BeforeValidator(_ids)] = None
    """Who gets the owner's messages: ids of people, with commas in between. Left out: the owner of the application, or
    everybody in its team."""
    media_allow_private_hosts: Annotated[bool, Field(description="true or false")] = False
    """Permits http and private addresses for result files. For the demo and tests only: keep it off."""
    media_max_bytes: Annotated[Size, Field(gt=0, le=1 << 34, description="a size above 0 and up to 16GiB")] = 104857600
    """No result file larger than this is ever read (100 MiB)."""
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        BeforeValidator(_level),
        Field(description="DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    ] = "INFO"
    """`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`."""
    log_format: Annotated[
        Literal["console", "json"],
        BeforeValidator(lambda value: str(value).lower()),
        Field(description="console or json"),
    ] = "console"
    """`console` for people, `json` for machines: one object a line. Both go to stderr."""

    @property
    def secrets(self) -> list[str]:
        """Return what nobody else may read: each key, and the passwords of databases as they stand and as they are.

        A password such as "coverbot" is left out, for a log without that word would tell that it is one.
        """
        found = [value.get_secret_value() for _, value in self if isinstance(value, SecretStr)]
        for parts in map(urlsplit, filter(None, (self.database_url, self.database_listen_url))):
            for password in (parts.password or "", *parse_qs(parts.query).get("password", [])):
                if len(password) >= SHORTEST_PASSWORD:
                    found += {password, unquote(password), quote(password, safe="")}
        return found

    @property
    def process(self) -> str:
        """Return by which name this process is known to the others."""
        return self.process_name or f"{socket.gethostname()[:40]}-{os.getpid()}"

    @property
    def name_in_metrics(self) -> str | None:
        """Return which process the figures are said to be of, None where it can be the only one."""
        return self.process if self.process_name is not None or is_postgresql(self.database_url) else None

    @property
    def database_server(self) -> Server:
        """Return how PostgreSQL is reached, where it is the database."""
        return Server(self.database_listen_url, self.database_pooled, self.process, version())

    @field_validator("*", mode="before")
    @classmethod
    def _can_be_seen(cls, value: Any) -> Any:
        if isinstance(value, str) and re.search(r"[\x00-\x1f\x7f]", value):
            raise ValueError("holds a line end or another control character, write it anew")
        return value

    @field_validator(
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "aws_region",
        "aws_endpoint_url",
        mode="before",
    )
    @classmethod
    def _is_for_the_archive(cls, value: Any, info: ValidationInfo) -> Any:
        # Other programs on this machine may have their own use for them.
        return None if info.data.get("archive_url") is None else value

    @field_validator("aws_secret_access_key")
    @classmethod
    def _is_a_pair(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if "aws_access_key_id" in info.data and (value is None) != (info.data["aws_access_key_id"] is None):
            raise ValueError("and AWS_ACCESS_KEY_ID go together, set both or neither")
        return value

    @field_validator("shard_ids")
    @classmethod
    def _are_there(cls, value: tuple[int, ...] | None, info: ValidationInfo) -> tuple[int, ...] | None:
        count = info.data.get("shard_count")
        if value is not None and count is not None and value[-1] >= count:
            raise ValueError(f"names shard {value[-1]}, but SHARD_COUNT says that there are {count}, counted from 0")
        return value

    @field_validator("shards_per_process")
    @classmethod
    def _is_without_ids(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("shard_ids") is not None:
            raise ValueError("has no use beside SHARD_IDS, which says already what this process runs; leave one out")
        return value

    @field_validator("poll_max_seconds", "task_give_up_seconds")
    @classmethod
    def _is_not_below(cls, value: float, info: ValidationInfo) -> float:
        lower = {"poll_max_seconds": "poll_min_seconds", "task_give_up_seconds": "task_timeout_seconds"}
        name = lower[str(info.field_name)]
        if value < info.data.get(name, 0):
            raise ValueError(f"must not be below {name.upper()}")
        return value


FILE = Path(".env")
"""The settings file, in the working directory."""


def load_settings(
    *, without: Collection[str] = (), file: Path = FILE, thorough: bool = False
) -> tuple[Settings, list[str]]:
    """Read the settings, and return them with hints at what looks like a slip, or with `thorough` may be one.

    `without` names settings that are required for `run` and not for this command. Raises `SettingsError`, which has all
    that is wrong.
    """
    environment = find_settings(file)
    if thorough:
        environment.hints.extend(environment.doubts)
    found = {name.lower(): value for name, value in environment.values.items()}
    return make_settings(dict.fromkeys(without, "not-needed") | found, environment), environment.hints


def find_settings(file: Path = FILE) -> Environment:
    """Return what is set and where, before it is judged; raises `SettingsError` for a file that cannot be read."""
    try:
        return read_environment([name.upper() for name in Settings.model_fields], os.environ, file)
    except OSError as error:
        raise SettingsError(f"{file.name} cannot be read: {error.strerror}") from None
    except UnicodeError:
        raise SettingsError(f"{file.name} is no text that can be read; save it as UTF-8") from None


def make_settings(found: Mapping[str, str], environment: Environment) -> Settings:
    """Judge values by their settings' names in lower case; raises `SettingsError`, which has all that is wrong."""
    try:
        return Settings(**found)
    except ValidationError as error:
        raise _explain(error, environment) from None


def _explain(error: ValidationError, environment: Environment) -> SettingsError:
    problems, hints = [], list(environment.hints)
    missing = False
    for one in error.errors(include_url=False, include_input=False, include_context=False):
        field = str(one["loc"][0])
        name = field.upper()
        if one["type"] == "missing":
            problems.append(f"{name} is not set")
            missing = True
            continue
        where = f" in {environment.origins[name]}" if name in environment.origins else ""
        expected = f"must be {Settings.model_fields[field].description}"
        reason = one["msg"].removeprefix("Value error, ") if one["type"] == "value_error" else expected
        problems.append(f"{name}{where} {reason}")
    if missing:
        hints.insert(0, f"looked for in {environment.searched}")
        hints.append("`coverbot setup` asks for what is missing")
    return SettingsError(*problems, hints=hints)
