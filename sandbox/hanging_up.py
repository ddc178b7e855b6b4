"""Whether somebody still waits for an answer."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web


def has_hung_up(request: web.Request) -> bool:
    """Tell whether whoever sent a request has closed the connection, or died, as the system knows by now.

    A connection's end may not have been read yet; what waits to be read is looked at, and stays there.
    """
    connection = request.transport
    if connection is None or connection.is_closing():
        return True
    with socket.socket(fileno=socket.dup(connection.get_extra_info("socket").fileno())) as peeking:
        try:
            return peeking.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
