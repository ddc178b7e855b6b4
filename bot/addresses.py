"""Addresses as owners write them in settings; each function returns what is meant, or raises `ValueError` in words."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from yarl import URL

from storage.postgresql.addresses import can_be_host, parse


def _see_written_out(path: str) -> None:
    """Raise `ValueError` for a path that a shell alone would understand; a folder named ~ is removed only once."""
    if path.startswith(("~", "$")):
        raise ValueError("must be written out, for nothing but a shell knows what ~ and $HOME are")


def link(value: str) -> str:
    """Return the address of a page as Discord and VidGo take it: in ASCII, whatever was written for a name or path."""
    try:
        parts = urlsplit(value)
        port = parts.port  # raises ValueError for a port that is no number
        url = str(URL(value))
    except ValueError:
        raise ValueError("must be an address such as https://example.com") from None
    is_web = parts.scheme in ("http", "https") and port != 0
    if not is_web or not can_be_host(parts.hostname or "") or re.search(r"\s", value):
        raise ValueError("must be an address such as https://example.com")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user name or password")
    return url


def http_url(value: str) -> str:
    """Return the address of a server, without the slash at its end."""
    url = link(value)
    if "?" in value or "#" in value:
        raise ValueError("must not contain a query or fragment")
    return url.rstrip("/")


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
    path = unquote(rest[1:])  # as SQLAlchemy reads it
    if path == ":memory:":
        raise ValueError("must name a file, for what is kept in memory is gone after each restart")
    _see_written_out(path)
    # What begins with "file:" is an address to SQLite: it would open another file than the one that is looked at.
    is_file = not path.endswith("/") and Path(path).name != "" and not path.startswith("file:")
    if "?" in rest or not is_file or re.search(r"[\x00-\x1f\x7f]", path):
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
    _see_written_out(str(value))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(value)):  # a folder "s3:" would be made here
        raise ValueError("must be a folder of this machine; the address of a store belongs into ARCHIVE_URL")
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
    if not can_be_host(name):
        raise ValueError("must be an address or name such as 127.0.0.1, 0.0.0.0 or ::")
    return name
