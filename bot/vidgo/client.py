"""The client of the VidGo API: one question, one answer or one error."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import aiohttp
from yarl import URL

from bot.vidgo.answers import Answer, Question, refusal
from bot.vidgo.bodies import json_of, unpacked
from bot.vidgo.errors import AnswerLost, Busy, Duplicate, Nonsense, UnknownTask, VidGoError, Withheld
from bot.vidgo.pace import MAX_PAUSE, OwnPace, Pace
from bot.vidgo.reading import identifier, levels_of, number, one_line, task_id_of
from bot.vidgo.requests import SubmitRequest
from bot.vidgo.results import Accepted, Report, Status, credits_of, report_of

MAX_BODY = 1024 * 1024
CONNECT_TIMEOUT = 10.0

# VidGo's schema insists on a callback URL for some models; RFC 2606 keeps .invalid from ever resolving.
NO_CALLBACK = "https://no-callback.invalid/"

Seen = Callable[[Question, BaseException | None], None]
"""Is told what was asked, and what came of it: an error, or None for an answer that says what was asked."""

_log = logging.getLogger(__name__)


class Turn:
    """The right to ask VidGo once, now: the rate limit has been waited for, and every pause that VidGo asked for."""


class VidGo:
    """Ask the VidGo API, or any server that speaks it.

    All requests share one rate limit, which `pace` may share with other processes. When VidGo says how long to wait,
    every later request waits that long (at most 300 s). Nothing is ever submitted twice, no redirect is followed, and
    the API key, the callback URL and its token appear in no error and no log. `orders` is the session for submissions:
    what must not be repeated should not go over a connection that the server may just be closing. `timeout` is in
    seconds and covers a whole request; `clock` gives Unix seconds; `seen` is told what was asked and what came of it.
    Raises ValueError for an address or a key that cannot be used.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        api_key: str,
        *,
        orders: aiohttp.ClientSession | None = None,
        requests_per_second: float = 5.0,
        timeout: float = 30.0,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        pace: Pace | None = None,
        seen: Seen = lambda _question, _error: None,
    ) -> None:
        base = URL(base_url)
        if base.scheme not in {"http", "https"} or not base.host or base.user or base.password:
            raise ValueError("the API's address must be http(s)://host, without credentials")
        if not api_key or not all("!" <= c <= "~" for c in api_key):
            raise ValueError("the API key must be printable ASCII without spaces")
        self._session = session
        self._orders = orders or session
        self._base = base
        self._key = api_key
        self._pace = pace or OwnPace(requests_per_second, clock=clock, sleep=sleep)
        self._rate = requests_per_second
        # The connect timeout must end first: after it the request was certainly not taken.
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(CONNECT_TIMEOUT, timeout / 2))
        self._clock = clock
        self._in_line: set[asyncio.Task[Any]] = set()
        self._seen = seen
        self.credits: float | None = None
        """The balance when VidGo last told it; None until then."""

    def stop(self) -> None:
        """Cancel everybody who waits for a turn, for nobody gets one any more; what is under way goes on."""
        for task in self._in_line:
            task.cancel()

    def waits(self) -> float:
        """Return about how many seconds somebody would wait for a turn who asked for one now."""
        return max(self._pace.left(), len(self._in_line) / self._rate)

    async def turn(self) -> Turn:
        """Wait until VidGo may be asked; whoever is stopped meanwhile has asked for nothing."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (a coroutine runs in one)
        self._in_line.add(task)
        try:
            await self._pace.wait()
        finally:
            self._in_line.discard(task)
        return Turn()

    async def submit(self, request: SubmitRequest, callback_url: str | None, _turn: Turn) -> Accepted:
        """Submit a request once, in a turn that was waited for, and return what VidGo calls the task.

        Raises `AnswerLost` if VidGo may have taken it all the same, another `VidGoError` if it has not.
        """
        with self._watched(Question.SUBMIT_ON_SOURCE if request.needs_source else Question.SUBMIT):
            return await self._submit(request, callback_url)

    async def _submit(self, request: SubmitRequest, callback_url: str | None) -> Accepted:
        secrets = [self._key]
        body: dict[str, Any] = {"model": request.model, "input": request.input()}
        if callback_url is not None:
            body["callback_url"] = callback_url
            secrets += [callback_url, *(part for part in re.split("[/?=&]", callback_url) if len(part) >= 16)]
        elif request.callback_required:
            body["callback_url"] = NO_CALLBACK
        answer = await self._send(self._orders, "POST", "api/generate/submit", json=body)
        task_id = task_id_of(answer.task)
        if answer.ok and task_id is not None:
            return Accepted(task_id, credits_of(answer.task))
        question = Question.SUBMIT_ON_SOURCE if request.needs_source else Question.SUBMIT
        error = self._note(refusal(answer, question, secrets, version=body["input"].get("mv")))
        if isinstance(error, Duplicate) and error.task_id == body["input"].get("task_id"):
            # The refusal names the source again; taken for the earlier cover, the original would pass as one.
            error.task_id = None
        raise error

    async def detail(self, task_id: str) -> Report:
        """Read what VidGo says about a task.

        Raises `UnknownTask` if VidGo does not know it (also for a while after its submission), `AnswerLost`,
        `Busy` or `Nonsense` if it should be asked again, another `VidGoError` otherwise.
        """
        known_as = identifier(task_id)
        if known_as is None:
            raise UnknownTask("this cannot be a task id")
        with self._watched(Question.DETAIL):
            return await self._detail(known_as)

    async def _detail(self, known_as: str) -> Report:
        answer = await self._ask("api/generate/detail/music", {"task_id": known_as})
        report = report_of(answer.task, known_as, [self._key])
        named = task_id_of(answer.task) is not None
        good = answer.ok and (named or bool(report.raw_status))
        # A failed task may bring an error code along with the word; the word is final.
        failed = 200 <= answer.http_status < 300 and named and report.status is Status.FAILED
        # A gateway in between says so of itself, and names no task.
        is_somebody_elses = report.status is Status.FAILED and not named and answer.code is None
        if (not good and not failed) or is_somebody_elses:
            raise self._note(refusal(answer, Question.DETAIL, [self._key]))
        if failed and not answer.ok and report.error_message is None:  # the reason may stand where errors have it
            report = replace(report, error_message=one_line(answer.error_text, [self._key]) or None)
        if report.status is Status.UNKNOWN:
            _log.warning("VidGo reports an unknown status: %s", one_line(report.raw_status, [self._key]))
        return report

    async def balance(self) -> float:
        """Read how many credits the account has. Raises `VidGoError`."""
        with self._watched(Question.BALANCE):
            self.credits = await self._balance()
        return self.credits

    async def _balance(self) -> float:
        answer = await self._ask("api/user/balance")
        if not answer.ok:
            raise self._note(refusal(answer, Question.BALANCE, [self._key]))
        named = (number(level.get("credits_amount")) for level in levels_of(answer.body))
        amount = next((one for one in named if one is not None), None)
        if amount is None:
            raise Nonsense("the balance names no amount of credits", code=answer.http_status)
        return amount

    @contextmanager
    def _watched(self, question: Question) -> Iterator[None]:
        """Let whoever wants to know see what becomes of a request."""
        try:
            yield
        except BaseException as error:
            self._seen(question, error)
            raise
        self._seen(question, None)

    async def _ask(self, path: str, params: dict[str, str] | None = None) -> Answer:
        await self.turn()
        return await self._send(self._session, "GET", path, params=params)

    async def _send(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        *,
        json: dict[str, Any] | None = None,
        params: dict[str, str] | None = None,
    ) -> Answer:
        failure: VidGoError
        try:
            async with session.request(
                method,
                self._base / path,
                json=json,
                params=params,
                headers={
                    "Authorization": f"Bearer {self._key}",
                    "Accept": "application/json",
                    "Accept-Encoding": "gzip, deflate",
                },
                timeout=self._timeout,
                auto_decompress=False,  # what says that it is compressed need not be, and the reverse
                allow_redirects=False,
                raise_for_status=False,
            ) as response:
                readable, body = _decode(await _read(response), response)
                return Answer(
                    http_status=response.status,
                    body=body,
                    readable=readable,
                    retry_after=response.headers.get("Retry-After"),
                    received_at=self._clock(),
                )
        except Withheld as e:
            failure = Busy(f"not sent: {e.strerror}")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError) as e:
            failure = Busy(f"no connection to the API ({type(e).__name__})")
        except TimeoutError:
            failure = AnswerLost(f"no answer within {self._timeout.total:g} s")
        except (aiohttp.ClientError, OSError) as e:
            if isinstance(e.__cause__, Withheld):  # at the last moment, where aiohttp takes it for the connection's
                failure = Busy(f"not sent: {e.__cause__.strerror}")
            else:
                failure = AnswerLost(f"the connection broke ({type(e).__name__})")
        # Raised outside the handlers: aiohttp's errors hold the request's headers, and with them the key.
        raise failure

    def _note(self, error: VidGoError) -> VidGoError:
        """Start a pause if VidGo asks for one, and return the error."""
        if isinstance(error, Busy) and error.retry_after is not None:
            self._pace.pause(min(error.retry_after, MAX_PAUSE))
        return error


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """Return the body, None if it is broken off or larger than `MAX_BODY`; the status line still counts then."""
    body = bytearray()
    try:
        async for chunk in response.content.iter_chunked(64 * 1024):
            body += chunk
            if len(body) > MAX_BODY:
                response.close()
                return None
    except (aiohttp.ClientError, OSError):
        return None
    return bytes(body)


def _decode(raw: bytes | None, response: aiohttp.ClientResponse) -> tuple[bool, Any]:
    """Return whether a body is JSON, and its value."""
    if raw is not None:
        raw = unpacked(raw, response.headers.get("Content-Encoding", ""), MAX_BODY)
    if raw is None:
        return False, None
    try:
        return True, json_of(raw, response.charset)
    except (ValueError, RecursionError):
        return False, None
