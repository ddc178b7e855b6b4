"""`coverbot health`: whether the bot that runs with these settings is ready; a container engine asks this."""

from __future__ import annotations

import http.client

from bot.settings import Settings
from bot.web.addresses import local_host, show_address

TIMEOUT = 4.0


def health(settings: Settings) -> tuple[bool, str]:
    """Ask the running bot's `/readyz`; return whether it is ready, and what it says in one line."""
    host = local_host(settings.listen_host)
    # No proxy of the environment lies between a machine and itself.
    connection = http.client.HTTPConnection(host, settings.listen_port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        return response.status == 200, response.read(10_000).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return False, f"nobody answers at {show_address(host, settings.listen_port)} ({type(error).__name__})"
    finally:
        connection.close()
