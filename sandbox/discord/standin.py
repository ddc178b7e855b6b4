"""The stand-in itself: a server on the loopback, and everything a test may ask of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from aiohttp import web

from sandbox.discord.clock import Clock
from sandbox.discord.gateway import Gateway
from sandbox.discord.limits import RateLimits, SessionStarts
from sandbox.discord.people import People
from sandbox.discord.rest import account_routes, channel_routes, webhook_routes
from sandbox.discord.rest.faults import FaultPlan
from sandbox.discord.rest.judge import Violation, find_description, judge_by
from sandbox.discord.rest.requests import API_PREFIX, BODY_LIMIT, Refusal, Request, Rest
from sandbox.discord.state.commands import CommandRegistry
from sandbox.discord.state.content import Attachment
from sandbox.discord.state.model import Guild, Message, State, User

GATEWAY_PATH = "/gateway"


class DiscordStandIn(People, FaultPlan):
    """Speak Discord's REST API v10 and gateway to a real bot, on 127.0.0.1.

    Use it as an async context manager, then point the bot at `api_url`. A bot whose `shard_count` is given, or
    whose session is invalidated, takes discord.py's built-in gateway address instead of asking for it: let it
    use `gateway_url` there too.

    `openapi` is the file of Discord's description, "auto" looks for it, None judges nothing. `judge="now"`
    refuses what the description forbids; "later" only records it, and judges when `violations` is read, so
    that judging costs a benchmark nothing. `port` 0 takes a free one. `compress` lets the gateway speak
    zlib-stream to clients that ask for it. `shards` is the number recommended to the bot.
    `identify_seconds` is how far apart sessions must begin (Discord's 5 s would hold up each quick restart, so 0 unless
    a test wants them), `session_starts` how many a day, `max_concurrency` how many at a time. `clock` returns
    seconds; answers (3 s), tokens (15 min), nonces (5 min) and rate limits expire by it.
    """

    def __init__(
        self,
        *,
        token: str = "stand-in.bot.token",  # noqa: S107 (its own)
        openapi: str | Path | None = "auto",
        judge: Literal["now", "later"] = "now",
        port: int = 0,
        compress: bool = False,
        shards: int = 1,
        rate_limits: bool = True,
        identify_seconds: float = 0.0,
        session_starts: int = 1000,
        max_concurrency: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        time_source = Clock(clock)
        FaultPlan.__init__(self, time_source)
        self.token = token
        self.state = State(time_source)
        self.commands = CommandRegistry(self.state)
        self.session_starts = SessionStarts(
            time_source, seconds=identify_seconds, total=session_starts, max_concurrency=max_concurrency
        )
        self.gateway = Gateway(self.state, token, self.session_starts, compress=compress)
        self.state.publish = self.gateway.publish
        self.limits = RateLimits(self.state.clock, enabled=rate_limits)
        description = find_description(openapi)
        self.judge = judge_by(description) if description is not None else None
        self._rest = Rest(self.state, token, self.commands, self, self.limits, self.judge, judge_at_once=judge == "now")
        self._rest.shards = shards
        self._rest.session_starts = self.session_starts
        self._port = port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=BODY_LIMIT)
        self._rest.mount(app, [*account_routes.ROUTES, *channel_routes.ROUTES, *webhook_routes.ROUTES])
        app.router.add_get(GATEWAY_PATH, self.gateway.handle)
        app.router.add_get(GATEWAY_PATH + "/", self.gateway.handle)
        app.router.add_get("/attachments/{channel_id}/{file_id}/{filename}", self._download)
        app.router.add_get("/ephemeral-attachments/{application_id}/{file_id}/{filename}", self._download)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.state.base_url = f"http://127.0.0.1:{self._port}"
        self.gateway.url = self._rest.gateway_url = self.gateway_url
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._rest.close()
        self.gateway.refusing = True
        self.gateway.drop(None)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _download(self, request: web.Request) -> web.Response:
        number = request.match_info["file_id"]
        file = self.state.files.get(int(number)) if number.isdigit() else None
        if file is None or not self._is_good(request, file):
            return web.Response(status=404)
        return web.Response(body=file.data, headers={"Content-Type": file.content_type})

    def _is_good(self, request: web.Request, file: Attachment) -> bool:
        """Tell whether an address is one that was given and has not expired, where it has to be signed."""
        if "?" not in file.url:
            return True
        is_whole = f"{self.state.base_url}{request.raw_path}" == file.url
        return is_whole and int(request.query["ex"], 16) > self.state.clock.wall()

    @property
    def api_url(self) -> str:
        """Return the REST base, to be set as `discord.http.Route.BASE`."""
        return self.state.base_url + API_PREFIX

    @property
    def gateway_url(self) -> str:
        """Return the address that `GET /gateway/bot` names."""
        return f"ws://127.0.0.1:{self._port}{GATEWAY_PATH}"

    @property
    def bot_id(self) -> int:
        """Return the id of the bot's account, which is its application's id too."""
        return self.state.bot.id

    @property
    def requests(self) -> list[Request]:
        """Return everything the bot sent, in order of arrival."""
        return self._rest.requests

    @property
    def refusals(self) -> list[Refusal]:
        """Return every request refused as Discord would refuse it; planned faults and 429 are not among them."""
        return self._rest.refusals

    @property
    def violations(self) -> list[Violation]:
        """Return every body that breaks Discord's description or its rules, whatever the state of things."""
        self._rest.judge_pending()
        return self._rest.found_violations

    @property
    def judged(self) -> int:
        """Return how many bodies were judged by the description; 0 without one."""
        self._rest.judge_pending()
        return self._rest.judged

    @property
    def identified(self) -> int:
        """Return how many gateway sessions have begun."""
        return self.gateway.identified

    @property
    def resumed(self) -> int:
        """Return how many gateway sessions were taken up again."""
        return self.gateway.resumed

    @property
    def said(self) -> list[Message]:
        """Return every message of the bot's, private and deleted ones too, each with all its `revisions`."""
        return self.state.said

    def add_guild(
        self,
        name: str,
        upload_limit: int = 10 * 2**20,
        locale: str = "en-US",
        *,
        channels: Iterable[str] = (),
        prepare: Callable[[Guild], None] = lambda _guild: None,
    ) -> Guild:
        """Create a guild with the bot in it; `upload_limit` in bytes.

        The bot finds text `channels` with these names, and what `prepare` has changed before it joins.
        """
        return self.state.add_guild(name, upload_limit, locale, channels, prepare)

    def make_team(self, *names: str, invited: Iterable[str] = ()) -> list[User]:
        """Let the application belong to a team of people who have accepted, and of some who have not."""
        people = {User(self.state.ids.entity(), name): name not in invited for name in (*names, *invited)}
        self.state.team = people
        self.state.users |= {person.id: person for person in people}
        return list(people)

    def advance(self, seconds: float) -> None:
        """Let time pass at once, for answers, tokens, nonces and rate limits."""
        self.state.clock.advance(seconds)

    async def wait_until(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        """Wait until a condition on requests, sessions or commands holds; raises TimeoutError."""
        await self.state.changed.wait_for(condition, timeout, "fulfilled condition")

    async def wait_ready(
        self,
        timeout: float = 30.0,
        *,
        newer_than: int = 0,
        shard_ids: tuple[int, ...] | None = None,
    ) -> None:
        """Wait until every shard has READY and its guilds, and the bot has synced its commands.

        After a restart of the bot give the value `identified` had before as `newer_than`, so that sessions of
        the ended process do not count. `shard_ids` are the shards this bot runs, all of its count by default.
        """
        await self.state.changed.wait_for(
            lambda: self.identified > newer_than and self._all_ready(shard_ids), timeout, "ready bot"
        )

    def _all_ready(self, shard_ids: tuple[int, ...] | None) -> bool:
        sessions = self.gateway.current
        if not sessions or not self.commands.synced:
            return False
        wanted = shard_ids if shard_ids is not None else range(next(iter(sessions.values())).count)
        alive = {number for number, item in sessions.items() if item.complete and item.connection is not None}
        return alive >= set(wanted)

    def drop_gateway(self, code: int | None = None) -> None:
        """Break every gateway connection: with a close code such as 4000, or as if the cable was cut."""
        self.gateway.drop(code)

    def invalid_session(self, resumable: bool = False) -> None:
        """Send INVALID_SESSION to every shard."""
        self.gateway.invalidate(resumable=resumable)

    def request_reconnect(self) -> None:
        """Ask every shard to reconnect and resume."""
        self.gateway.request_reconnect()

    def refuse_follow_ups_after_deletion(self, refuse: bool = True) -> None:
        """Refuse follow-ups with 10008 once the "thinking" message is deleted, until called with False.

        Sources tell both (discord-api-docs, issues 2739 and 3087); unless told so they are taken.
        """
        self.state.follow_up_after_deletion = not refuse

    def leave_out(self, *names: str) -> None:
        """Send events without these keys from now on, such as "version" or "channel.owner_id", as they are partial.

        What Discord's documentation calls optional or partial is meant; without names everything is sent again.
        """
        self.state.left_out = set(names)

    def send_broken_frame(self, text: str = "{") -> None:
        """Send every shard a frame that no client can read."""
        self.gateway.send_broken_frame(text)

    def refuse_gateway(self, refuse: bool = True) -> None:
        """Answer 503 to new gateway connections, as in an outage, until called with False."""
        self.gateway.refusing = refuse
