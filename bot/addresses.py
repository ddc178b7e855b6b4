"""Addresses as owners write them in settings; each function returns what is meant, or raises `ValueError` in words."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import urlsplit

from storage.postgresql.addresses import can_be_host, parse


def http_url(value: str) -> str:
    """Return the address of a server, without the slash at its end."""
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises ValueError for a port that is no number
    except ValueError:
        raise ValueError("must be an address such as https://example.com") from None
    if parts.scheme not in ("http", "https") or not can_be_host(parts.hostname or "") or re.search(r"\s", value):
        raise ValueError("must be an address such as https://example.com")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user name or password")
    if "?" in value or "#" in value:
        raise ValueError("must not contain a query or fragment")
    return value.rstrip("/")


def server_url(value: str) -> str:
    """Return the address of a database at a PostgreSQL server."""
    parse(value)
    return value


def database_url(value: str) -> str:
    """Return the address of a database."""
    scheme, _, rest = value.partition("://")
    if scheme.startswith("postgres"):
        return server_url(value)
    if scheme != "sqlite" or not rest.startswith("/") or rest in ("/", "//"):
        raise ValueError("must look like sqlite:///data/coverbot.db or postgresql://user:password@host/coverbot")
    if rest == "/:memory:":
        raise ValueError("must name a file, for what is kept in memory is gone after each restart")
    if "?" in rest or not Path(rest[1:]).name:
        raise ValueError("must name a file and nothing else, such as sqlite:///data/coverbot.db")
    return value


def listen_url(value: str | None) -> str | None:
    """Return the address of a PostgreSQL server past its pooler, if there is one."""
    return None if value is None else server_url(value)


def archive_url(value: str) -> str:
    """Return the address of a bucket and the prefix in it."""
    url = value.rstrip("/")
    if not re.fullmatch(r"s3://[A-Za-z0-9][\w.-]{1,61}[A-Za-z0-9](/[\w.-]+)*", url, re.ASCII) or re.search(
        r"/\.{1,2}(?=/|\Z)", url
    ):
        raise ValueError("must look like s3://bucket/prefix")
    return url


def folder(value: Path) -> Path:
    """Return the path of a folder that other folders can lie beside."""
    if value.name in ("", ".."):
        raise ValueError("must name a folder of its own, such as data/media")
    return value


def host(value: str) -> str:
    """Return an address or name to listen at, without the brackets of IPv6."""
    name = value.removeprefix("[").removesuffix("]")
    if ":" in name:
        try:
            return str(ipaddress.IPv6Address(name))
        except ValueError:
            raise ValueError("must be an address or name alone, the port is LISTEN_PORT") from None
    if not re.fullmatch(r"[\w.-]+", name):
        raise ValueError("must be an address or name such as 127.0.0.1, 0.0.0.0 or ::")
    return name
