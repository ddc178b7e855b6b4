"""Faults on demand for REST requests: errors, lost answers, hanging, rate limits, exact moments."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from sandbox.discord.clock import Signal

When = Literal["before", "after"]
Kind = Literal["fail", "lose", "hang", "rate_limit"]
Watcher = Callable[[str, str, str], None]


@dataclass
class Fault:
    """One planned fault: it strikes the next `times` requests that fit, then is used up.

    `struck` lists them as (method, path).
    """

    kind: Kind
    method: str
    pattern: re.Pattern[str]
    times: int
    when: When = "before"
    status: int = 500
    seconds: float = 0.0
    global_: bool = False
    struck: list[tuple[str, str]] = field(default_factory=list)
    changed: Signal = field(default_factory=Signal, repr=False)

    async def used_up(self, timeout: float = 10.0) -> None:
        """Wait until it has struck as often as planned."""
        await self.changed.wait_for(lambda: self.times <= 0, timeout, f"request for {self.pattern.pattern}")


class FaultPlan:
    """Plan faults and strike with them.

    `method` is an HTTP method or "*"; `path_regex` is searched in the path below the API's base, e.g.
    `r"^/channels/\\d+/messages$"`. `when="before"` strikes instead of the effect, `"after"` once it happened.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.refusing_rest = False
        self._watchers: list[Watcher] = []

    def fail(self, method: str, path_regex: str, status: int = 500, times: int = 1, when: When = "before") -> Fault:
        """Answer with an HTTP error of Discord's edge, without a JSON error code."""
        return self._plan(Fault("fail", method, re.compile(path_regex), times, when, status=status))

    def lose_answer(self, method: str, path_regex: str, times: int = 1, when: When = "after") -> Fault:
        """Close the connection without an answer."""
        return self._plan(Fault("lose", method, re.compile(path_regex), times, when))

    def hang(self, method: str, path_regex: str, seconds: float, times: int = 1) -> Fault:
        """Wait `seconds` before anything happens, then go on as usual."""
        return self._plan(Fault("hang", method, re.compile(path_regex), times, seconds=seconds))

    def rate_limit(
        self, method: str, path_regex: str, retry_after: float, times: int = 1, global_: bool = False
    ) -> Fault:
        """Answer 429 with `retry_after` seconds, for the route or for all of the API."""
        pattern = re.compile(path_regex)
        return self._plan(Fault("rate_limit", method, pattern, times, seconds=retry_after, global_=global_))

    def refuse_rest(self, refuse: bool = True) -> None:
        """Close the connection of every request, as in an outage, until called with False."""
        self.refusing_rest = refuse

    def on_request(self, callback: Watcher) -> None:
        """Call `callback(method, path, phase)` at once, before ("before") and after ("after") each effect.

        "after" comes before the answer is sent, so a process can be killed between the two.
        """
        self._watchers.append(callback)

    def take_fault(self, method: str, path: str, when: When) -> Fault | None:
        """Return the first planned fault that fits and count it."""
        for fault in self.faults:
            fits = fault.method in {"*", method} and fault.when == when and fault.pattern.search(path)
            if fits and fault.times > 0:
                fault.times -= 1
                fault.struck.append((method, path))
                fault.changed.notify()
                return fault
        return None

    def watch(self, method: str, path: str, phase: When) -> None:
        """Tell whoever asked with `on_request`."""
        for watcher in self._watchers:
            watcher(method, path, phase)

    def _plan(self, fault: Fault) -> Fault:
        self.faults.append(fault)
        return fault
