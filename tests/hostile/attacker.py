"""Attack a listener from a process of its own, so that the cost of attacking does not slow the honest ones.

Reads what to do as one line of JSON, generates, says "ready", and for each further line attacks and reports as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.hostile.attacks import Target, generate
from tests.hostile.wire import converse

if TYPE_CHECKING:
    from tests.hostile.wire import Conversation

CONNECTIONS = 16
"""How many connections attack at once."""


async def attack(port: int, conversations: list[Conversation]) -> None:
    """Hold all conversations, some at a time."""
    places = asyncio.Semaphore(CONNECTIONS)

    async def hold(conversation: Conversation) -> None:
        async with places:
            await converse(port, conversation)

    await asyncio.gather(*(hold(conversation) for conversation in conversations))


def report(conversations: list[Conversation]) -> dict[str, Any]:
    """Sum up what was sent and what came back."""
    statuses = Counter(status for one in conversations for status in one.statuses)
    wrong = [
        {"problem": one.problem, "statuses": one.statuses, "sent": repr(one.requests)[:2000]}
        for one in conversations
        if one.problem is not None or any(status >= 500 for status in one.statuses)
    ]
    return {
        "requests": sum(len(one.requests) for one in conversations),
        "connections": len(conversations),
        "statuses": dict(sorted(statuses.items())),
        "wrong": wrong,
    }


def main() -> None:
    """Do as the parent says."""
    order = json.loads(sys.stdin.readline())
    conversations = generate(Target(**order["target"]), order["seed"], order["examples"])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        fresh = [replace(one, statuses=[], problem=None) for one in conversations]
        asyncio.run(attack(order["port"], fresh))
        sys.stdout.write(json.dumps(report(fresh)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
