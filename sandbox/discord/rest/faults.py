"""Faults on demand for REST requests: refusals, lost answers, hanging, rate limits, exact moments."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from sandbox.discord.clock import Clock, Signal
from sandbox.discord.limits import Scope, limited_answer
from sandbox.discord.state.content import texts
from sandbox.discord.state.errors import REFUSALS

When = Literal["before", "after"]
Kind = Literal["fail", "edge", "refuse", "lose", "hang", "rate_limit"]
Moderated = Literal["posts", "edits", "answers"]
Watcher = Callable[[str, str, str], None]

POSTS = r"^/channels/\d+/messages$"
EDITS = r"^(/channels/\d+|/webhooks/\d+/[^/]+)/messages/[^/]+$"
FOLLOW_UPS = r"^/webhooks/\d+/[^/]+$"
FIRST_ANSWERS = r"^/interactions/\d+/[^/]+/callback$"
LOGIN = r"^/users/@me$"
GATEWAY = r"^/gateway/bot$"
COMMAND_SYNC = r"^/applications/\d+(/guilds/\d+)?/commands$"
COUNTED = r"^/(?!interactions/|webhooks/)"
"""What the limit over all of the API counts: everything but the answers to interactions."""

MODERATED: dict[Moderated, tuple[str, str]] = {
    "posts": ("POST", POSTS),
    "edits": ("PATCH", EDITS),
    "answers": ("POST", f"{FIRST_ANSWERS}|{FOLLOW_UPS}"),
}


@dataclass
class Fault:
    """One planned fault: it strikes the next `times` requests that fit, None all, then is used up.

    `struck` lists them as (method, path).
    """

    kind: Kind
    method: str
    pattern: re.Pattern[str]
    times: int | None
    when: When = "before"
    status: int = 500
    seconds: float = 0.0
    code: int = 0
    scope: Scope = "user"
    lasting: bool = False
    text: re.Pattern[str] | None = None
    body: str | None = None
    struck: list[tuple[str, str]] = field(default_factory=list)
    changed: Signal = field(default_factory=Signal, repr=False)
    until: float | None = None

    @property
    def over(self) -> bool:
        """Return whether it strikes no more."""
        return self.times is not None and self.times <= 0

    def end(self) -> None:
        """Let it strike no more."""
        self.times = 0
        self.changed.notify()

    async def used_up(self, timeout: float = 10.0) -> None:
        """Wait until it has struck as often as planned."""
        await self.changed.wait_for(lambda: self.over, timeout, f"request for {self.pattern.pattern}")

    async def strikes(self, count: int, timeout: float = 10.0) -> None:
        """Wait until it has struck `count` times in all."""
        what = f"request number {count} for {self.pattern.pattern}"
        await self.changed.wait_for(lambda: len(self.struck) >= count, timeout, what)

    def fits(self, method: str, path: str, when: When, body: Any) -> bool:
        """Return whether it would strike this request."""
        if self.over or self.when != when or self.method not in {"*", method}:
            return False
        return self.pattern.search(path) is not None and (
            self.text is None or any(self.text.search(words) for words in texts(body))
        )

    def answer(self) -> tuple[int, Any, dict[str, str]]:
        """Return status, body and headers of the answer it gives; a body of text is a page of HTML."""
        if self.kind == "rate_limit":
            body, headers = limited_answer(self.seconds, {}, self.scope)
            return 429, body, headers
        if self.kind == "refuse":
            return self.status, {"message": REFUSALS[self.code][1], "code": self.code}, {}
        if self.kind == "edge":
            headers = {"Server": "cloudflare", "CF-RAY": f"{secrets.token_hex(8)}-FRA"}
            if self.status == 429:
                headers["Retry-After"] = str(math.ceil(self.seconds))
            page = {"message": REFUSALS[self.code][1], "code": self.code} if self.code else edge_page(self.status)
            return self.status, page, headers
        return self.status, {"message": f"{self.status}: Server Error", "code": 0}, {}


class FaultPlan:
    """Plan faults and strike with them.

    `method` is an HTTP method or "*"; `path_regex` is searched in the path below the API's base, e.g. `POSTS`.
    `when="before"` strikes instead of the effect, `"after"` once it happened. `times=None` strikes until
    `Fault.end` or `clear_faults`.

    `statuses` are the HTTP statuses in which JSON error codes come, where they shall differ from the table in
    `errors`: sources disagree about some, e.g. `statuses[160002] = 400`.
    """

    def __init__(self, clock: Clock) -> None:
        self.faults: list[Fault] = []
        self.refusing_rest = False
        self.statuses: dict[int, int] = {}
        self._clock = clock
        self._watchers: list[Watcher] = []

    def fail(
        self, method: str, path_regex: str, status: int = 500, times: int | None = 1, when: When = "before"
    ) -> Fault:
        """Answer with an HTTP error in JSON that has no error code of Discord's."""
        return self._plan(Fault("fail", method, re.compile(path_regex), times, when, status=status))

    def refuse(
        self,
        method: str,
        path_regex: str,
        code: int,
        *,
        status: int | None = None,
        times: int | None = 1,
        text: str | None = None,
    ) -> Fault:
        """Refuse with a JSON error code of `errors.REFUSALS` and its HTTP status, or another `status`.

        With `text` only what says something that this regex finds is refused.
        """
        pattern, wanted = re.compile(path_regex), re.compile(text) if text is not None else None
        status = status or REFUSALS[code][0]
        return self._plan(Fault("refuse", method, pattern, times, status=status, code=code, text=wanted))

    def automod(self, what: Moderated, text: str = "", *, times: int | None = None) -> Fault:
        """Block "posts" in channels, "edits" or "answers" to interactions that say `text` (a regex): 200000."""
        method, path_regex = MODERATED[what]
        return self.refuse(method, path_regex, 200000, times=times, text=text)

    def refuse_at_edge(
        self,
        method: str,
        path_regex: str,
        status: int = 403,
        times: int | None = 1,
        *,
        code: Literal[0, 40333] = 0,
        retry_after: float = 60.0,
    ) -> Fault:
        """Refuse with a page of HTML, or with 40333, as the network in front of Discord does: 403, 404, 429, 502, 503.

        A 429 names `retry_after` seconds in its header, and like all of these has no `Via`.
        """
        fault = Fault("edge", method, re.compile(path_regex), times, status=status, code=code, seconds=retry_after)
        return self._plan(fault)

    def garble(
        self, method: str, path_regex: str, times: int | None = 1, when: When = "after", *, body: str | None = None
    ) -> Fault:
        """Answer with a page of HTML and status 200, as something between does that means well, or with other JSON."""
        return self._plan(Fault("edge", method, re.compile(path_regex), times, when, status=200, body=body))

    def lose_answer(self, method: str, path_regex: str, times: int | None = 1, when: When = "after") -> Fault:
        """Close the connection without an answer."""
        return self._plan(Fault("lose", method, re.compile(path_regex), times, when))

    def hang(self, method: str, path_regex: str, seconds: float, times: int | None = 1, when: When = "before") -> Fault:
        """Wait `seconds` before anything happens, or once it happened, then go on as usual.

        Each request waits for itself, so others are as fast as ever; a further fault may strike after the wait.
        """
        return self._plan(Fault("hang", method, re.compile(path_regex), times, when, seconds=seconds))

    def slow_posts(self, channel_id: int, seconds: float, times: int | None = None) -> Fault:
        """Let posts in one channel, and in no other, take `seconds` each."""
        return self.hang("POST", rf"^/channels/{channel_id}/messages$", seconds, times)

    def rate_limit(
        self,
        method: str,
        path_regex: str,
        retry_after: float,
        times: int | None = 1,
        global_: bool = False,
        *,
        shared: bool = False,
        lasting: bool = False,
    ) -> Fault:
        """Answer 429 with `retry_after` seconds: for the route, for all of the API (`global_`), or `shared` by others.

        A `lasting` one refuses whatever fits until these seconds are over, by the stand-in's clock, and names what
        is left of them; `times` does not count then.
        """
        scope: Scope = "global" if global_ else "shared" if shared else "user"
        fault = Fault("rate_limit", method, re.compile(path_regex), None if lasting else times, seconds=retry_after)
        fault.scope, fault.lasting = scope, lasting
        return self._plan(fault)

    def refuse_rest(self, refuse: bool = True) -> None:
        """Close the connection of every request, as in an outage, until called with False."""
        self.refusing_rest = refuse

    def clear_faults(self) -> None:
        """End every planned fault; those under way go on."""
        for fault in self.faults:
            fault.end()
        self.faults.clear()

    def on_request(self, callback: Watcher) -> None:
        """Call `callback(method, path, phase)` at once, before ("before") and after ("after") each effect.

        "after" comes before the answer is sent, so a process can be killed between the two.
        """
        self._watchers.append(callback)

    def take_faults(self, method: str, path: str, when: When, body: Any) -> Iterator[Fault]:
        """Yield the planned faults that strike a request: any number of waits, then at most one that answers it."""
        for fault in list(self.faults):
            if fault.fits(method, path, when, body) and self._still_on(fault):
                if fault.times is not None:
                    fault.times -= 1
                fault.struck.append((method, path))
                fault.changed.notify()
                yield fault
                if fault.kind != "hang":
                    return

    def watch(self, method: str, path: str, phase: When) -> None:
        """Tell whoever asked with `on_request`."""
        for watcher in self._watchers:
            watcher(method, path, phase)

    def _still_on(self, fault: Fault) -> bool:
        if not fault.lasting:
            return True
        now = self._clock.monotonic()
        if fault.until is None:
            fault.until = now + fault.seconds
        fault.seconds = fault.until - now
        if fault.seconds <= 0:
            fault.end()
        return fault.seconds > 0

    def _plan(self, fault: Fault) -> Fault:
        self.faults.append(fault)
        return fault


def edge_page(status: int) -> str:
    """Return a page as a network in front of Discord shows it: long, and nothing in it is Discord's."""
    phrase = HTTPStatus(status).phrase
    rows = "\n".join(f'    <div class="cf-row" id="row-{number}"><span>&nbsp;</span></div>' for number in range(30))
    return (
        '<!DOCTYPE html>\n<html lang="en-US">\n<head>\n'
        f"  <title>{status} {phrase} | discord.com</title>\n</head>\n<body>\n"
        f"  <h1>Error {status}</h1>\n  <p>{phrase}: the request was not passed on.</p>\n"
        f'  <div class="cf-wrapper">\n{rows}\n  </div>\n</body>\n</html>\n'
    )
