"""The log's last net: what no code should log is taken out of a line all the same."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.process import ROOT, environment
from tests.end_to_end.world import KEY, TOKEN, WEBHOOK_SECRET

if TYPE_CHECKING:
    from pathlib import Path

AWS_SECRET, AWS_TOKEN = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AQoDYXdzEPT//////////wEXAMPLE"
SIGNATURE = "5f0c" * 16

CAREFREE = """
import logging
from bot.logs import set_up_logging
from bot.settings import load_settings

set_up_logging(load_settings()[0])
log = logging.getLogger("some.library")
for words in WORDS:
    log.debug("sending %s", words)
    try:
        raise ValueError(words)
    except ValueError:
        log.exception("not sent")
"""


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_secrets_are_taken_out_of_whatever_is_logged(tmp_path: Path, log_format: str) -> None:
    address, interaction = "callback-token_1234567890", "aW50ZXJhY3Rpb246-token_0987654321"
    words = [
        f"Authorization: Bot {TOKEN}",
        f"Bearer {KEY} and {WEBHOOK_SECRET}",
        f"POST https://cover.example/callbacks/vidgo/06h07mfgkasdnzetpzj0tevp/{address} HTTP/1.1",
        f"PATCH https://discord.com/api/v10/webhooks/123456789/{interaction}/messages/@original?x=1",
        f"{{'url': '/interactions/123456789/{interaction}/callback'}}",
        f"{AWS_SECRET}, x-amz-security-token: {AWS_TOKEN}",
        "connecting as coverbot with a%2Fpass%2Fword1 which is a/pass/word1",
        f"GET https://cover.example/media/06h07mfgkasdnzetpzj0tevp/0/1790000000/{SIGNATURE}/song.mp3",
        f"Location: https://s3.example/songs/ab/abcd?X-Amz-Date=1&X-Amz-Signature={SIGNATURE}",
    ]
    settings = {
        "DISCORD_TOKEN": TOKEN,
        "VIDGO_API_KEY": KEY,
        "VIDGO_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "ARCHIVE_URL": "s3://bucket/prefix",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": AWS_SECRET,
        "AWS_SESSION_TOKEN": AWS_TOKEN,
        "DATABASE_URL": "postgresql://coverbot:a%2Fpass%2Fword1@localhost/coverbot",
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": log_format,
    }
    ended = subprocess.run(
        [sys.executable, "-c", CAREFREE.replace("WORDS", repr(words))],
        cwd=tmp_path,
        env={**environment(settings), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    assert ended.stderr.count("[secret]") >= 2 * len(words)
    assert "06h07mfgkasdnzetpzj0tevp" in ended.stderr
    # The traceback quotes the program, where these words stand; all that follows from them is clean.
    logged = [line for line in ended.stderr.splitlines() if "sending" in line or "ValueError: " in line]
    assert len(logged) >= len(words)
    passwords = ("a/pass/word1", "a%2Fpass%2Fword1")
    for secret in (TOKEN, KEY, WEBHOOK_SECRET, address, interaction, SIGNATURE, AWS_SECRET, AWS_TOKEN, *passwords):
        assert [line for line in logged if secret in line] == []
