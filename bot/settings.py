"""Everything that an owner can set, and what it may be."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

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

from bot import version
from bot.environment import Environment, read_environment
from storage.database import Server

MOST_SHARDS = 16_384


class SettingsError(Exception):
    """Settings are missing or wrong; the text is one line that names them and never holds a secret.

    `problems` has a sentence for each, `hints` what may be behind them.
    """

    def __init__(self, *problems: str, hints: Iterable[str] = ()) -> None:
        self.problems = list(problems)
        self.hints = list(hints)
        super().__init__("; ".join([*self.problems, *self.hints]))


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises ValueError for a port that is no number
    except ValueError:
        raise ValueError("must be an address such as https://example.com") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", value):
        raise ValueError("must be an address such as https://example.com")
    if parts.username or parts.password:
        raise ValueError("must not contain a user name or password")
    if parts.query or parts.fragment:
        raise ValueError("must not contain a query or fragment")
    return value.rstrip("/")


def _server_url(value: str) -> str:
    scheme, _, rest = value.partition("://")
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises ValueError for a port that is no number
    except ValueError:
        scheme = ""
    if scheme not in ("postgres", "postgresql") or not rest or re.search(r"\s", value):
        raise ValueError(
            "must look like postgresql://user:password@host/coverbot; write other characters as %40 and so"
        )
    return value


def _database_url(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme.startswith("postgres"):
        return _server_url(value)
    if scheme != "sqlite" or not rest.startswith("/") or rest in ("/", "//"):
        raise ValueError("must look like sqlite:///data/coverbot.db or postgresql://user:password@host/coverbot")
    if rest == "/:memory:":
        raise ValueError("must name a file, for what is kept in memory is gone after each restart")
    return value


def _listen_url(value: str | None) -> str | None:
    return None if value is None else _server_url(value)


def _archive_url(value: str) -> str:
    url = value.rstrip("/")
    if not re.fullmatch(r"s3://[A-Za-z0-9][\w.-]{1,61}[A-Za-z0-9](/[\w.-]+)*", url, re.ASCII) or re.search(
        r"/\.{1,2}(?=/|\Z)", url
    ):
        raise ValueError("must look like s3://bucket/prefix")
    return url


def _host(value: str) -> str:
    host = value.removeprefix("[").removesuffix("]")
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise ValueError("must be an address or name alone, the port is LISTEN_PORT") from None
    if not re.fullmatch(r"[\w.-]+", host):
        raise ValueError("must be an address or name such as 127.0.0.1, 0.0.0.0 or ::")
    return host


def _secret(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!#-&(-\[\]-~]+", value.get_secret_value()):
        raise ValueError("holds a space, a quote or another character that no key has, copy it again")
    return value


def _size(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        # `5G` means `5GB`, which the library does not know.
        return int(TypeAdapter(ByteSize).validate_python(re.sub(r"(?<=[\d\s])([kmgtKMGT])\Z", r"\1B", value)))
    except ValidationError:
        raise ValueError("must be a size such as 5GB, 512MB or 5368709120 (bytes)") from None


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
    return tuple(dict.fromkeys(map(int, names)))


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


HttpUrl = Annotated[str, AfterValidator(_http_url)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
Size = Annotated[int, BeforeValidator(_size)]
Seconds = Annotated[
    float,
    Field(
        gt=0, le=30 * 86400, allow_inf_nan=False, description="a number of seconds such as 5 or 0.5, at most 30 days"
    ),
]


class Settings(BaseModel):
    """The settings of the contract. A `description` is what a value that does not fit should have been."""

    model_config = ConfigDict(frozen=True, validate_default=True, hide_input_in_errors=True)

    discord_token: Secret
    discord_api_url: HttpUrl = "https://discord.com/api/v10"
    discord_guild_id: Annotated[
        int | None, Field(gt=0, lt=1 << 63, description="a server's id, a number of 17 to 20 digits")
    ] = None
    vidgo_api_key: Secret
    vidgo_api_url: HttpUrl = "https://api.vidgo.ai"
    vidgo_requests_per_second: Annotated[
        float,
        Field(gt=0, le=1000, allow_inf_nan=False, description="a number above 0 and up to 1000, such as 5 or 0.5"),
    ] = 5
    vidgo_webhook_secret: Secret | None = None
    public_url: HttpUrl | None = None
    listen_host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    listen_port: Annotated[int, Field(ge=0, le=65535, description="a port, a number from 1 to 65535")] = 8080
    database_url: Annotated[str, AfterValidator(_database_url), Field(repr=False)] = "sqlite:///data/coverbot.db"
    database_listen_url: Annotated[str | None, AfterValidator(_listen_url), Field(repr=False)] = None
    database_pooled: Annotated[bool, Field(description="true or false")] = False
    process_name: Annotated[
        str | None, Field(pattern=r"^[A-Za-z0-9_.:@-]{1,60}$", description="up to 60 letters, digits and . _ - : @")
    ] = None
    shard_count: Annotated[
        int | None, Field(ge=1, le=MOST_SHARDS, description=f"how many shards there are in all, 1 to {MOST_SHARDS}")
    ] = None
    shard_ids: Annotated[tuple[int, ...] | None, BeforeValidator(_shard_ids)] = None
    shards_per_process: Annotated[
        int | None, Field(ge=1, le=MOST_SHARDS, description=f"how many shards a process runs, 1 to {MOST_SHARDS}")
    ] = None
    archive_dir: Path = Path("data/media")
    archive_max_bytes: Annotated[Size, Field(ge=0, le=1 << 50, description="a size up to 1PiB; 0 keeps nothing")] = (
        5368709120
    )
    archive_url: Annotated[str | None, AfterValidator(lambda value: value and _archive_url(value))] = None
    aws_access_key_id: Secret | None = None
    aws_secret_access_key: Secret | None = None
    aws_session_token: Secret | None = None
    aws_region: Annotated[str | None, Field(pattern="^[A-Za-z0-9-]{1,60}$", description="such as us-east-1")] = None
    aws_endpoint_url: HttpUrl | None = None
    poll_min_seconds: Seconds = 5
    poll_max_seconds: Seconds = 60
    task_timeout_seconds: Seconds = 1800
    task_give_up_seconds: Seconds = 86400
    daily_covers_per_user: DailyLimit = 20
    daily_songs_per_user: DailyLimit = 5
    daily_orders_per_server: DailyLimit = -1
    support_url: Annotated[
        HttpUrl | None, Field(max_length=512, description="an address of at most 512 characters")
    ] = None
    credits_warning: Annotated[
        float, Field(ge=0, le=1e9, allow_inf_nan=False, description="a number of credits such as 100; 0 never warns")
    ] = 100
    owner_ids: Annotated[tuple[int, ...] | None, BeforeValidator(_ids)] = None
    media_allow_private_hosts: Annotated[bool, Field(description="true or false")] = False
    media_max_bytes: Annotated[Size, Field(gt=0, le=1 << 34, description="a size above 0 and up to 16GiB")] = 104857600
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        BeforeValidator(_level),
        Field(description="DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    ] = "INFO"
    log_format: Annotated[
        Literal["console", "json"],
        BeforeValidator(lambda value: str(value).lower()),
        Field(description="console or json"),
    ] = "console"

    @property
    def process(self) -> str:
        """Return by which name this process is known to the others."""
        return self.process_name or f"{socket.gethostname()[:40]}-{os.getpid()}"

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
    return SettingsError(*problems, hints=hints)
