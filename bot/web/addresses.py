"""Where the listener listens, and under which address this machine reaches it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 (compared, not bound)


async def listen(protocol: Callable[[], asyncio.Protocol], host: str, port: int) -> asyncio.Server:
    """Accept connections at a host, for "::" those of IPv4 too; raises `OSError` where the address cannot be had."""
    loop = asyncio.get_running_loop()
    if host != "::" or not socket.has_dualstack_ipv6():
        return await loop.create_server(protocol, host, port)
    # asyncio opens "::" for IPv6 alone.
    return await loop.create_server(
        protocol, sock=socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=True)
    )


def local_host(host: str) -> str:
    """Return where this machine reaches what listens at `host`."""
    return "127.0.0.1" if host in EVERYWHERE else host


def show_address(host: str, port: int) -> str:
    """Return host and port as they stand in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
