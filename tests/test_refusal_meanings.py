"""What is Discord's own word, how long it asks to wait, and that no page gets into a line."""

from __future__ import annotations

import email.utils
import json
import logging
import time
from types import SimpleNamespace
from typing import Any

import aiohttp
import discord
import pytest
from pythonjsonlogger.json import JsonFormatter

from bot.logs import _RedactingHandler
from bot.refusals import LONGEST_WAIT, asked_to_wait, explain, is_not_there, refuses_token
from sandbox.discord.rest.faults import edge_page

JSON = "application/json"


def refusal(status: int, body: Any, content_type: str = JSON, **headers: str) -> discord.HTTPException:
    """Return what discord.py raises for an answer."""
    named = {"Content-Type": content_type} | {name.replace("_", "-"): value for name, value in headers.items()}
    response: Any = SimpleNamespace(status=status, reason="Reason", headers=named)
    return discord.HTTPException(response, body)


def login_failure(cause: discord.HTTPException) -> discord.LoginFailure:
    """Return what discord.py raises where an answer to the login is 401."""
    error = discord.LoginFailure("Improper token has been passed.")
    error.__cause__ = cause
    return error


def test_only_discord_itself_refuses_a_token() -> None:
    assert refuses_token(login_failure(refusal(401, {"message": "401: Unauthorized", "code": 0})))
    assert refuses_token(refusal(401, {"message": "401: Unauthorized", "code": 0}))
    assert not refuses_token(login_failure(refusal(401, edge_page(401), "text/html")))
    assert not refuses_token(refusal(401, {}))
    assert not refuses_token(refusal(403, {"message": "Missing Access", "code": 50001}))
    assert not refuses_token(aiohttp.ClientConnectionError())


def test_only_discord_itself_says_that_something_is_not_there() -> None:
    assert is_not_there(refusal(403, {"message": "Missing Access", "code": 50001}))
    assert is_not_there(refusal(404, {"message": "Unknown Guild", "code": 10004}))
    assert not is_not_there(refusal(403, {"message": "internal network error", "code": 40333}))
    assert not is_not_there(refusal(404, edge_page(404), "text/html; charset=UTF-8"))
    assert not is_not_there(None)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("1e9", LONGEST_WAIT),
        ("inf", LONGEST_WAIT),
        ("nan", 0),
        ("-3", 0),
        ("soon", 0),
        ("", 0),
    ],
)
def test_a_wait_that_is_asked_for_is_bounded(asked: str, seconds: float) -> None:
    assert asked_to_wait(refusal(429, edge_page(429), "text/html", Retry_After=asked)) == seconds


def test_a_wait_may_be_a_date_or_come_from_the_gateway() -> None:
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 90 < asked_to_wait(refusal(503, "", "text/plain", Retry_After=date)) <= 100
    assert asked_to_wait(discord.RateLimited(12.5)) == 12.5
    request: Any = SimpleNamespace(real_url="wss://gateway")
    headers: Any = {"Retry-After": "30"}
    assert asked_to_wait(aiohttp.WSServerHandshakeError(request, (), status=429, headers=headers)) == 30
    assert asked_to_wait(OSError()) == 0


def test_an_error_is_a_short_line() -> None:
    assert explain(refusal(403, edge_page(403), "text/html")) == "HTTP 403, without a word of Discord's"
    body = {"message": "Invalid Form Body", "code": 50035, "errors": {"name": {"_errors": [{"message": "Too\nlong"}]}}}
    assert explain(refusal(400, body)) == "HTTP 400, code 50035: Invalid Form Body In name: Too long"
    assert explain(TimeoutError()) == "TimeoutError"
    assert explain(KeyError("url")) == "no answer of Discord's: KeyError"
    assert len(explain(aiohttp.ClientError("x" * 10_000))) < 250


@pytest.mark.parametrize("formatter", [logging.Formatter("%(message)s"), JsonFormatter("%(message)s")])
def test_no_line_of_the_log_holds_a_page(formatter: logging.Formatter) -> None:
    handler = _RedactingHandler([])
    handler.setFormatter(formatter)
    error = refusal(403, edge_page(403), "text/html")
    for arguments, raised in ((("it failed: %s", error.text), None), (("it failed",), error)):
        info = (type(raised), raised, None) if raised is not None else None
        record = logging.LogRecord("x", logging.ERROR, "x", 1, arguments[0], arguments[1:], info)
        line = handler.format(record)
        assert "it failed" in line
        assert "(a page)" in line
        assert "<" not in line
        if isinstance(formatter, JsonFormatter):
            json.loads(line)
