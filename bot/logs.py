"""Where log lines go and how they look."""

from __future__ import annotations

import logging
import re
import sys
from contextvars import ContextVar
from typing import TextIO

import aiohttp
import discord
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from discord.gateway import ReconnectWebSocket

from bot.settings import Settings

SHORTEST_SECRET = 8

_ADDRESS = re.compile(
    r"(/(?:callbacks/vidgo/[^/\s]+|webhooks/\d+|interactions/\d+|media/[^/\s]+/\d+/\d+)/|"
    r"\bX-Amz-(?:Signature|Security-Token)=)[\w%-]+"
)
"""Addresses with a part that is a credential: VidGo's way to the listener, the bot's to one interaction, a file's."""

_PAGE = re.compile(r"<(?:!doctype html|html)\b.*?(?:</html>|\Z)", re.IGNORECASE | re.DOTALL)


_task: ContextVar[str | None] = ContextVar("task", default=None)


def about(task_id: str) -> None:
    """Let each line that this asyncio task writes from now on, also by libraries, carry a task's id as a field."""
    _task.set(task_id)


def _name_task(record: logging.LogRecord) -> bool:
    """Name the task that a line is about; in JSON what a record has is a field."""
    if (task_id := _task.get()) is not None:
        record.task = task_id
    return True


class _RedactingHandler(logging.StreamHandler[TextIO]):
    """Takes secrets out of a line, whoever wrote it: the last net under code that should not log them at all."""

    def __init__(self, secrets: list[str]) -> None:
        super().__init__(sys.stderr)
        # A secret of a few letters would take its letters out of every word; none that is real is so short.
        self._secrets = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]

    def format(self, record: logging.LogRecord) -> str:
        _cut_page(record)
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return _ADDRESS.sub(r"\1[secret]", text)


def _cut_page(record: logging.LogRecord) -> None:
    """Leave out the page for browsers that an edge server answers with; whoever quotes an answer quotes it whole."""
    trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
    if _PAGE.search(trace):
        # Each formatter would write it out anew as long as the error is there.
        record.exc_text, record.exc_info = _PAGE.sub("(a page)", trace), None
    message = record.getMessage()
    if _PAGE.search(message):
        record.msg, record.args = _PAGE.sub("(a page)", message), ()


def _shorten(record: logging.LogRecord) -> bool:
    """Put a connection's end in one line, where discord.py writes a whole traceback at each attempt."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, OSError | aiohttp.ClientError | discord.ConnectionClosed | ReconnectWebSocket):
        record.msg, record.args = f"{record.getMessage()} ({type(error).__name__}: {error})", ()
        record.exc_info = None
    return True


def _calm(record: logging.LogRecord) -> bool:
    """Put choices that Discord did not take in one line: whoever types on wants those of the next letter."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, OSError | aiohttp.ClientError | discord.HTTPException | discord.RateLimited):
        record.msg, record.args = "choices were not taken: %s: %s", (type(error).__name__, error)
        record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
    return True


def _is_own_fault(record: logging.LogRecord) -> bool:
    """Leave out what strangers send to the listener that is no HTTP: it is their fault, and may quote an address."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | web.RequestPayloadError | ConnectionError)


def set_up_logging(settings: Settings) -> None:
    """Send log lines to stderr, as text for people or as one JSON object a line."""
    handler = _RedactingHandler(settings.secrets)
    handler.addFilter(_name_task)
    if settings.log_format == "json":
        from pythonjsonlogger.json import JsonFormatter  # noqa: PLC0415 (imported by those who chose it)

        handler.setFormatter(
            JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields={"levelname": "level"})
        )
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    # discord.py warns about voice support, which this bot does not use.
    logging.getLogger("discord.client").addFilter(lambda record: "voice" not in str(record.msg))
    for name in ("discord.client", "discord.shard", "discord.gateway"):
        logging.getLogger(name).addFilter(_shorten)
    logging.getLogger("discord.app_commands.tree").addFilter(_calm)
    # Below INFO discord.py writes out requests and gateway events, with every interaction's token; at INFO how it comes
    # and goes. aiosqlite writes out the values of each query.
    level = logging.getLevelNamesMapping()[settings.log_level]
    for name, quiet in (("discord", logging.WARNING), ("aiosqlite", logging.INFO)):
        logging.getLogger(name).setLevel(logging.INFO if level <= logging.DEBUG else max(quiet, level))
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").addFilter(_is_own_fault)
    # Access lines would hold callback tokens.
    logging.getLogger("aiohttp.access").disabled = True
