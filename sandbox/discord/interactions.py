"""Interactions: what the bot is sent when somebody uses it, and how far its answer has come."""

from __future__ import annotations

import secrets
import time
from typing import Any

from sandbox.discord import payloads
from sandbox.discord.clock import Signal
from sandbox.discord.model import Channel, Guild, Json, Member, Message, State, User
from sandbox.discord.permissions import bits

ANSWER_SECONDS = 3.0
TOKEN_SECONDS = 900.0

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5


class Call:
    """One use of the bot by a person: a command, a press of a button, a menu, an autocompletion.

    `dispatched_at` and `acknowledged_at` are `time.monotonic()` seconds. `ack_type` is the callback type of
    the first answer (4 message, 5 deferred, 6 deferred update, 7 update, 8 choices, 9 modal). `original` is the
    message of that answer, `followups` are the messages after it; the follow-up that took the place of a
    "thinking" message is `original`.
    """

    def __init__(
        self,
        state: State,
        kind: int,
        who: Member | User,
        channel: Channel,
        data: Json,
        message: Message | None = None,
    ) -> None:
        self._state = state
        self.id = state.ids.now()
        # Real tokens have about 200 characters; whoever stores one must have room for it.
        self.token = "aW50ZXJhY3Rpb246" + secrets.token_urlsafe(130)
        self.kind = kind
        self.member = who if isinstance(who, Member) else None
        self.user = who.user if isinstance(who, Member) else who
        self.channel = channel
        self.data = data
        self.message = message
        self.opened_by: Call | None = None
        self.forged_components: list[Json] | None = None
        self.dispatched_at = time.monotonic()
        self.issued = state.clock.monotonic()
        self.acknowledged_at: float | None = None
        self.ack_type: int | None = None
        self.ephemeral = False
        self.original: Message | None = None
        self.deleted_original = False
        self.updated = False
        self.followups: list[Message] = []
        self.choices: list[Json] = []
        self.modal: Json | None = None
        self.changed = Signal()
        state.calls[self.id] = state.calls_by_token[self.token] = self

    @property
    def guild(self) -> Guild | None:
        """Return the guild it happened in."""
        return self.channel.guild

    @property
    def thinking(self) -> bool:
        """Return whether the person still sees "… is thinking"."""
        return self.original is not None and self.original.thinking and not self.original.deleted

    @property
    def replies(self) -> list[Message]:
        """Return the answers with something to see that are still there, in order."""
        first = [self.original] if self.original is not None else []
        if self.kind == COMPONENT and self.ack_type in {6, 7} and not self.updated:
            first = []
        return [m for m in [*first, *self.followups] if m.substantial and not m.deleted]

    @property
    def late(self) -> bool:
        """Return whether the three seconds for the first answer are over."""
        return self._state.clock.monotonic() - self.issued > ANSWER_SECONDS

    @property
    def expired(self) -> bool:
        """Return whether the token's fifteen minutes are over."""
        return self._state.clock.monotonic() - self.issued > TOKEN_SECONDS

    def acknowledge(self, ack_type: int, *, ephemeral: bool = False) -> None:
        """Note the first answer."""
        self.acknowledged_at = time.monotonic()
        self.ack_type = ack_type
        self.ephemeral = ephemeral
        self.changed.notify()

    async def acknowledged(self, timeout: float = 10.0) -> float:
        """Wait for the first answer and return how many milliseconds it took."""
        at = await self.changed.wait_for(lambda: self.acknowledged_at, timeout, "answer to the interaction")
        return (at - self.dispatched_at) * 1000

    async def reply(self, timeout: float = 10.0) -> Message:
        """Wait for the first answer with something to see: original message, its edit, or a follow-up."""
        replies = await self.changed.wait_for(lambda: self.replies or None, timeout, "visible reply")
        return replies[0]

    async def settled(self, timeout: float = 10.0) -> None:
        """Wait until the person is owed nothing: answered, not "thinking", and not left without a word.

        An answer without a message (deferred update, choices, modal) settles at once.
        """
        await self.changed.wait_for(self._is_settled, timeout, "settled interaction")

    def _is_settled(self) -> bool:
        if self.ack_type in {4, 5}:
            return not self.thinking and (bool(self.replies) or self.original is None)
        return self.ack_type is not None

    def metadata(self) -> Json:
        """Return the interaction as messages that answer it name it."""
        data: Json = {
            "id": str(self.id),
            "type": self.kind,
            "user": payloads.user(self.user),
            "authorizing_integration_owners": self._owners(),
        }
        if self.message is not None and self.kind == COMPONENT:
            data["interacted_message_id"] = str(self.message.id)
        if self.opened_by is not None:
            data["triggering_interaction_metadata"] = self.opened_by.metadata()
        if self.original is not None and not self.original.deleted:
            data["original_response_message_id"] = str(self.original.id)
        if self.kind == COMMAND:
            data["name"] = self.data["name"]
            data["command_type"] = self.data["type"]
        return data

    def callback_response(self) -> Json:
        """Return the body of a callback's answer (Discord's reference, "Interaction Callback Response")."""
        interaction: Json = {"id": str(self.id), "type": self.kind, "channel_id": str(self.channel.id)}
        if self.guild is not None:
            interaction["guild_id"] = str(self.guild.id)
        answer: Json = {"interaction": interaction}
        if self.original is not None:
            interaction |= {
                "response_message_id": str(self.original.id),
                "response_message_loading": self.original.thinking,
                "response_message_ephemeral": self.original.ephemeral,
            }
            if self.ack_type in {4, 7}:
                answer["resource"] = {"type": self.ack_type, "message": payloads.message(self.original)}
        return answer

    def event(self) -> Json:
        """Return the data of INTERACTION_CREATE."""
        guild = self.guild
        place = payloads.channel(self.channel)
        place["permissions"] = payloads.member_permissions(self.member)
        data: Json = {
            "id": str(self.id),
            "application_id": str(self._state.application_id),
            "type": self.kind,
            "data": self.data,
            "channel": place,
            "channel_id": str(self.channel.id),
            "token": self.token,
            "version": 1,
            "app_permissions": str(self.channel.bot_bits),
            "locale": self.user.locale,
            "entitlements": [],
            "authorizing_integration_owners": self._owners(),
            "context": 0 if guild is not None else 1,
            "attachment_size_limit": guild.upload_limit if guild is not None else 10 * 2**20,
        }
        if guild is not None and self.member is not None:
            data |= {
                "guild_id": str(guild.id),
                "guild": {"id": str(guild.id), "locale": guild.locale, "features": []},
                "guild_locale": guild.locale,
                "member": payloads.member(self.member) | {"permissions": str(bits(self.member.permissions))},
            }
        else:
            data["user"] = payloads.user(self.user)
        if self.message is not None and self.kind in {COMPONENT, MODAL_SUBMIT}:
            data["message"] = payloads.message(self.message)
            if self.forged_components is not None:
                data["message"]["components"] = self.forged_components
        return data

    def _owners(self) -> dict[str, Any]:
        return {"0": str(self.guild.id) if self.guild is not None else "0"}
