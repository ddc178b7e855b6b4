"""Addresses of databases at a server, read once for all who use them: the program's words, SQLAlchemy, the driver."""

from __future__ import annotations

import ipaddress
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

_EXPECTED = "must look like postgresql://user:password@host/coverbot; write other characters as %40 and so"

_IN_VAIN = frozenset(
    {
        *("channel_binding", "client_encoding", "connect_timeout", "fallback_application_name", "gssdelegation"),
        *("gssencmode", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval"),
        *("load_balance_hosts", "max_protocol_version", "min_protocol_version", "sslcertmode", "sslcompression"),
        "sslsni",
    }
)
"""What libpq knows, and the driver asks the server for, which refuses it. It may be left out, but for `_NEEDED`."""

_NEEDED = {("channel_binding", "require"), ("gssencmode", "require"), ("sslcertmode", "require")}
"""What is demanded of the connection, and cannot be had: it is not left out silently."""


@dataclass(frozen=True, slots=True)
class Address:
    """What an address names. Hosts are names, addresses and folders of sockets; none of it is secret."""

    hosts: tuple[tuple[str, int | None], ...]
    database: str


def parse(url: str) -> Address:
    """Read an address; raises `ValueError` in words that hold nothing of it."""
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        named = parts.netloc.rpartition("@")[2]
        hosts = [_host(one) for one in (named.split(",") if named else _listed(query))]
    except ValueError:
        raise ValueError(_EXPECTED) from None
    name = parts.path.removeprefix("/")
    # Where a password is not written with percent signs, what stands behind is taken for something else, and shown.
    is_torn = "#" in url or parts.netloc.count("@") > 1 or "@" in name or "/" in name
    if not re.fullmatch(r"postgres(ql)?://\S+", url) or is_torn or not (named or name or query):
        raise ValueError(_EXPECTED)
    for key, value in query.items():
        if (key, value) in _NEEDED:
            raise ValueError(f"must not ask for {key}={value}, which this program cannot have; leave it out")
    user = unquote(parts.netloc.partition("@")[0].partition(":")[0]) if "@" in parts.netloc else query.get("user", "")
    return Address(tuple(hosts), unquote(name) or query.get("dbname") or query.get("database") or user)


def dsn(url: str) -> str:
    """Return an address as the driver reads it: with what libpq knows, such as `?sslmode=require`."""
    front, _, query = re.sub(r"\A\w+(\+\w+)?:", "postgresql:", url).partition("?")
    kept = [(name, _file(name, value)) for name, value in parse_qsl(query) if name not in _IN_VAIN]
    return f"{front}?{urlencode(kept)}" if kept else front


def show(url: str) -> str:
    """Return an address without its password, which may also stand in its query."""
    address = parse(url)
    hosts = ",".join(map(_shown, address.hosts))
    return f"{address.database} at {hosts or 'the local server'}"


def can_be_host(name: str) -> bool:
    """Tell whether a name can be looked up at all, or is an address; what cannot ends in errors of many libraries."""
    try:
        if ":" in name:
            return not ipaddress.IPv6Address(name).scope_id
        return re.fullmatch(r"[\w.-]+", name) is not None and bool(name.encode("idna"))
    except ValueError:
        return False


def _shown(host: tuple[str, int | None]) -> str:
    name, port = host
    is_ipv6 = ":" in name and not name.startswith("/")
    return (f"[{name}]" if is_ipv6 else name) + (f":{port}" if port else "")


def _host(text: str) -> tuple[str, int | None]:
    if text.startswith("/"):  # a socket's folder, whose name may have colons: Google's do
        return text, None
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:]*))(?::([0-9]{0,5}))?", text)
    port = int(match[3]) if match is not None and match[3] else None
    host = "" if match is None else match[1] or unquote(match[2])
    if not (host and (port is None or 0 < port < 1 << 16) and (host.startswith("/") or can_be_host(host))):
        raise ValueError
    return host, port


def _listed(query: dict[str, str]) -> list[str]:
    return [host for host in query.get("host", "").split(",") if host]


def _file(name: str, value: str) -> str:
    """Return where the system's own certificates are, where those are asked for."""
    if (name, value) != ("sslrootcert", "system"):
        return value
    places = ssl.get_default_verify_paths()
    return next((one for one in (places.cafile, places.openssl_cafile) if one and Path(one).is_file()), value)
