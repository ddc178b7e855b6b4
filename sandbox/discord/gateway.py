"""The gateway: sessions of shards, events in order, heartbeats, resuming, and its ways to break."""

from __future__ import annotations

import asyncio
import json
import secrets
import zlib
from collections import deque
from collections.abc import Callable
from typing import Any

from aiohttp import WSMsgType, web

from sandbox.discord.limits import SessionStarts
from sandbox.discord.state import payloads
from sandbox.discord.state.content import without
from sandbox.discord.state.model import Guild, Json, Message, State, Subject

DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE, VOICE_STATE, RESUME, RECONNECT = 0, 1, 2, 3, 4, 6, 7
REQUEST_MEMBERS, INVALID_SESSION, HELLO, HEARTBEAT_ACK = 8, 9, 10, 11
REPLAY_EVENTS = 10_000
HEARTBEAT_MS = 41_250

PRIVILEGED_INTENTS = (1 << 1) | (1 << 8) | (1 << 15)
FINAL_CLOSE_CODES = frozenset({4004, 4010, 4011, 4012, 4013, 4014})
"""After these Discord ends the session, and a client does not come back by itself."""

GUILDS_INTENT, MEMBERS_INTENT, GUILD_MESSAGES_INTENT, DIRECT_MESSAGES_INTENT = 1, 1 << 1, 1 << 9, 1 << 12


class Connection:
    """One WebSocket; what is sent through it keeps its order."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None, *, zlib_stream: bool):
        self.session: Session | None = None
        self.ended_here = False
        self._socket = socket
        self._transport = transport
        self._compressor = zlib.compressobj() if zlib_stream else None
        self._outbox: asyncio.Queue[str | int] = asyncio.Queue()

    def send(self, text: str) -> None:
        """Send a frame after all that were sent before."""
        self._outbox.put_nowait(text)

    def send_op(self, op: int, data: Any = None) -> None:
        """Send a payload that is no event."""
        self.send(json.dumps({"op": op, "d": data, "s": None, "t": None}))

    def close(self, code: int) -> None:
        """Close with a close code once everything before is sent."""
        self.ended_here = True
        self._outbox.put_nowait(code)

    def abort(self) -> None:
        """Break the TCP connection without a word."""
        self.ended_here = True
        if self._transport is not None:
            self._transport.abort()

    def stop_reading(self) -> None:
        """Read nothing any more, not even a close, as across a broken link."""
        if self._transport is not None:
            self._transport.pause_reading()

    async def pump(self) -> None:
        """Write what is to be sent, until closed."""
        while True:
            item = await self._outbox.get()
            try:
                if isinstance(item, int):
                    await self._socket.close(code=item)
                    return
                if self._compressor is None:
                    await self._socket.send_str(item)
                else:
                    data = self._compressor.compress(item.encode())
                    await self._socket.send_bytes(data + self._compressor.flush(zlib.Z_SYNC_FLUSH))
            except ConnectionError:
                return


class Session:
    """A shard's session: it outlives its connection and remembers its events for a RESUME."""

    def __init__(self, shard: int, count: int, intents: int, presence: Json | None = None) -> None:
        self.presence = presence
        self.id = secrets.token_hex(16)
        self.shard = shard
        self.count = count
        self.intents = intents
        self.sequence = 0
        self.complete = False
        self.connection: Connection | None = None
        self._events: deque[tuple[int, str]] = deque(maxlen=REPLAY_EVENTS)

    def dispatch(self, event: str, data: Json) -> None:
        """Send an event, or keep it for when the client comes back."""
        self.sequence += 1
        text = json.dumps({"op": DISPATCH, "s": self.sequence, "t": event, "d": data}, separators=(",", ":"))
        self._events.append((self.sequence, text))
        if self.connection is not None:
            self.connection.send(text)

    def missed_since(self, sequence: int) -> list[str] | None:
        """Return the events after a sequence number, None when some of them are no longer remembered."""
        if sequence > self.sequence or (self._events and sequence < self._events[0][0] - 1):
            return None
        return [text for number, text in self._events if number > sequence]


class Gateway:
    """Serve WebSockets and send events to the sessions whose shard they belong to; `current` holds the newest of each.

    `identified` and `resumed` count the sessions begun and taken up again. While `refusing`, new connections
    are answered 503 and counted in `refused`. `allowed_intents` are the privileged ones switched on for the
    bot, none by default. `starts` says when a session may begin; one that comes too early is invalid.
    """

    def __init__(self, state: State, token: str, starts: SessionStarts, *, compress: bool) -> None:
        self._state = state
        self._token = token
        self._starts = starts
        self._compress = compress
        self._connections: set[Connection] = set()
        self._sessions: dict[str, Session] = {}
        self.current: dict[int, Session] = {}
        self.url = ""
        self.identified = 0
        self.resumed = 0
        self.refused = 0
        self.refusing = False
        self.allowed_intents = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket until it ends."""
        if self.refusing:
            self.refused += 1
            self._state.changed.notify()
            return web.Response(status=503)
        socket = web.WebSocketResponse(timeout=1.0, compress=False)
        await socket.prepare(request)
        wanted = request.query.get("compress") == "zlib-stream"
        connection = Connection(socket, request.transport, zlib_stream=self._compress and wanted)
        self._connections.add(connection)
        pump = asyncio.create_task(connection.pump())
        try:
            connection.send_op(HELLO, {"heartbeat_interval": HEARTBEAT_MS, "_trace": []})
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    self._receive(connection, frame.data)
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
            self._connections.discard(connection)
            self._detach(connection, socket.close_code)
        return socket

    @property
    def sessions(self) -> list[Session]:
        """Return every session, those included that are not connected at the moment."""
        return list(self._sessions.values())

    def publish(self, event: str, guild: Guild | None, subject: Subject) -> None:
        """Send an event to the shard of a guild, or to shard 0, if the intents ask for it."""
        needed = _needed_intent(event, guild)
        for session in self.sessions_for(guild):
            if session.complete and session.intents & needed:
                session.dispatch(event, EVENT_DATA[event](subject))

    def sessions_for(self, guild: Guild | None) -> list[Session]:
        """Return the sessions in charge of a guild or, with None, of direct messages.

        There are several while an older process is still connected: each of them gets every event.
        """
        number = guild.id >> 22 if guild is not None else 0
        return [session for session in self._sessions.values() if number % session.count == session.shard]

    def drop(self, code: int | None) -> None:
        """Break every connection: with a close code, or as if the cable was cut."""
        for connection in list(self._connections):
            if code is None:
                connection.abort()
            else:
                if code in FINAL_CLOSE_CODES and connection.session is not None:
                    self._forget(connection.session)
                connection.close(code)

    def stop_reading(self) -> None:
        """Let every connection hang: nothing that comes is read any more."""
        for connection in self._connections:
            connection.stop_reading()

    def invalidate(self, *, resumable: bool) -> None:
        """Send INVALID_SESSION to every session; unless resumable they are forgotten."""
        for session in list(self._sessions.values()):
            if session.connection is not None:
                session.connection.send_op(INVALID_SESSION, resumable)
            if not resumable:
                self._forget(session)

    def send_broken_frame(self, text: str) -> None:
        """Send a frame as it is through every connection."""
        for connection in self._connections:
            connection.send(text)

    def request_reconnect(self) -> None:
        """Ask every client to reconnect and resume."""
        for connection in self._connections:
            connection.send_op(RECONNECT)

    def _receive(self, connection: Connection, text: str) -> None:
        try:
            payload = json.loads(text)
            op, data = payload["op"], payload.get("d")
        except (ValueError, TypeError, KeyError):
            connection.close(4002)
            return
        if op == HEARTBEAT:
            connection.send_op(HEARTBEAT_ACK)
        elif op == IDENTIFY and connection.session is None:
            self._identify(connection, data)
        elif op == RESUME and connection.session is None:
            self._resume(connection, data)
        elif op in {IDENTIFY, RESUME}:
            connection.close(4005)
        elif connection.session is None:
            connection.close(4003)
        elif op not in {PRESENCE, VOICE_STATE, REQUEST_MEMBERS}:
            connection.close(4001)

    def _identify(self, connection: Connection, data: Json) -> None:
        if str(data.get("token", "")).removeprefix("Bot ") != self._token:
            connection.close(4004)
            return
        shard, count = data.get("shard") or (0, 1)
        if not 0 <= shard < count:
            connection.close(4010)
            return
        intents = int(data["intents"])
        if intents & PRIVILEGED_INTENTS & ~self.allowed_intents:
            connection.close(4014)
            return
        if not self._starts.take(shard):
            connection.send_op(INVALID_SESSION, False)
            return
        for earlier in list(self._sessions.values()):
            if earlier.shard == shard and earlier.connection is None:
                self._forget(earlier)
        session = Session(shard, count, intents, data.get("presence"))
        self._sessions[session.id] = self.current[shard] = session
        self._attach(connection, session)
        guilds = [guild for guild in self._state.guilds.values() if (guild.id >> 22) % count == shard]
        session.dispatch("READY", self._ready(session, guilds))
        if intents & GUILDS_INTENT:
            for guild in guilds:
                created = payloads.guild_create(guild, joined=False)
                session.dispatch("GUILD_CREATE", without(created, self._state.left_out))
        session.complete = True
        self.identified += 1
        self._state.changed.notify()

    def _resume(self, connection: Connection, data: Json) -> None:
        session = self._sessions.get(str(data.get("session_id")))
        missed = session.missed_since(int(data.get("seq") or 0)) if session is not None else None
        if session is None or missed is None or data.get("token") != self._token:
            connection.send_op(INVALID_SESSION, False)
            return
        if session.connection is not None:
            session.connection.close(4000)
        for text in missed:
            connection.send(text)
        self._attach(connection, session)
        session.dispatch("RESUMED", {"_trace": []})
        self.resumed += 1
        self._state.changed.notify()

    def _ready(self, session: Session, guilds: list[Guild]) -> Json:
        return {
            "v": 10,
            "user": payloads.own_user(self._state),
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "shard": [session.shard, session.count],
            "application": {"id": str(self._state.application_id), "flags": 0},
            "private_channels": [],
            "relationships": [],
            "user_settings": {},
            "session_type": "normal",
            "_trace": [],
        }

    def _attach(self, connection: Connection, session: Session) -> None:
        connection.session, session.connection = session, connection

    def _detach(self, connection: Connection, close_code: int | None) -> None:
        session = connection.session
        if session is not None and session.connection is connection:
            session.connection = None
            # A client that says goodbye with 1000 or 1001 ends its session (Discord's reference, "Resuming").
            if close_code in {1000, 1001} and not connection.ended_here:
                self._forget(session)
        self._state.changed.notify()

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session.id, None)
        if self.current.get(session.shard) is session:
            del self.current[session.shard]
            for other in self._sessions.values():
                if other.shard == session.shard:
                    self.current[session.shard] = other


def _needed_intent(event: str, guild: Guild | None) -> int:
    if event.startswith("MESSAGE_"):
        return GUILD_MESSAGES_INTENT if guild is not None else DIRECT_MESSAGES_INTENT
    return MEMBERS_INTENT if event.startswith("GUILD_MEMBER_") else GUILDS_INTENT


def _in_guild(post: Message) -> Json:
    return {"guild_id": str(post.channel.guild.id)} if post.channel.guild is not None else {}


EVENT_DATA: dict[str, Callable[[Any], Json]] = {
    "GUILD_CREATE": lambda place: without(payloads.guild_create(place, joined=True), place.state.left_out),
    "GUILD_DELETE": lambda place: {"id": str(place.id)},
    "GUILD_MEMBER_ADD": lambda who: payloads.member(who, who.guild.id),
    "GUILD_MEMBER_REMOVE": lambda who: {"guild_id": str(who.guild.id), "user": payloads.user(who.user)},
    "GUILD_ROLE_CREATE": payloads.role_event,
    "CHANNEL_CREATE": payloads.channel,
    "CHANNEL_UPDATE": payloads.channel,
    "CHANNEL_DELETE": payloads.channel,
    "THREAD_CREATE": payloads.channel,
    "THREAD_UPDATE": payloads.channel,
    "THREAD_DELETE": payloads.channel,
    "MESSAGE_CREATE": lambda post: payloads.message(post) | _in_guild(post),
    "MESSAGE_UPDATE": lambda post: payloads.message(post) | _in_guild(post),
    "MESSAGE_DELETE": lambda post: {"id": str(post.id), "channel_id": str(post.channel.id)} | _in_guild(post),
}
"""What each event carries about its subject."""
