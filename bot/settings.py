"""Everything that an owner can set; the only reader of the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(Exception):
    """A setting is missing or malformed; the text names it and never holds a value."""


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address such as https://example.com")
    if parts.username or parts.password:
        raise ValueError("must not contain a user name or password")
    if parts.query or parts.fragment:
        raise ValueError("must not contain a query or fragment")
    _ = parts.port  # raises ValueError for a port that is no number
    return value.rstrip("/")


def _database_url(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme in ("postgres", "postgresql"):
        raise ValueError("names a PostgreSQL server, which this version does not support; use sqlite:///…")
    if scheme != "sqlite" or not rest.startswith("/") or rest in ("/", "//"):
        raise ValueError("must look like sqlite:///data/coverbot.db")
    return value


def _secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("holds a space or a character that no key has; copy it again")
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
Seconds = Annotated[float, Field(gt=0, le=30 * 86400, allow_inf_nan=False)]


class Settings(BaseSettings):
    """The settings of the contract, read from the environment and then from `.env` in the working directory."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", frozen=True
    )

    discord_token: Secret
    discord_api_url: HttpUrl = "https://discord.com/api/v10"
    discord_guild_id: Annotated[int, Field(gt=0, lt=1 << 63)] | None = None
    vidgo_api_key: Secret
    vidgo_api_url: HttpUrl = "https://api.vidgo.ai"
    vidgo_requests_per_second: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 5
    vidgo_webhook_secret: Secret | None = None
    public_url: HttpUrl | None = None
    listen_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    listen_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    database_url: Annotated[str, AfterValidator(_database_url)] = "sqlite:///data/coverbot.db"
    archive_dir: Path = Path("data/media")
    archive_max_bytes: Annotated[int, Field(ge=0, le=1 << 50)] = 5368709120
    poll_min_seconds: Seconds = 5
    poll_max_seconds: Seconds = 60
    task_timeout_seconds: Seconds = 1800
    task_give_up_seconds: Seconds = 86400
    media_allow_private_hosts: bool = False
    media_max_bytes: Annotated[int, Field(gt=0, le=1 << 34)] = 104857600
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    log_format: Literal["console", "json"] = "console"

    @model_validator(mode="after")
    def _check_order(self) -> Settings:
        if self.poll_max_seconds < self.poll_min_seconds:
            raise ValueError("POLL_MAX_SECONDS must not be below POLL_MIN_SECONDS")
        if self.task_give_up_seconds < self.task_timeout_seconds:
            raise ValueError("TASK_GIVE_UP_SECONDS must not be below TASK_TIMEOUT_SECONDS")
        return self


def load_settings(*, with_vidgo: bool = True) -> Settings:
    """Read the settings; `with_vidgo` off does without VidGo's key, for commands that only need Discord.

    Raises `SettingsError` with one line that names the first setting that is wrong.
    """
    try:
        return Settings() if with_vidgo else Settings(vidgo_api_key=SecretStr("not-needed"))
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    except (OSError, UnicodeError) as error:
        raise SettingsError(f".env cannot be read: {type(error).__name__}") from None


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = str(first["loc"][0]).upper()
    if first["type"] == "missing":
        return f"{name} is not set"
    return f"{name} {message}" if first["type"] == "value_error" else f"{name}: {message}"
