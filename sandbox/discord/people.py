"""What people do in Discord: use commands, press buttons, write, delete, leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.discord.forms import MENUS, STRING_MENU, Choosable, Filled, NoSuchComponentError, chosen, filled
from sandbox.discord.gateway import Gateway
from sandbox.discord.state import payloads
from sandbox.discord.state.commands import MESSAGE_MENU, CommandRegistry
from sandbox.discord.state.content import Attachment, walk_components, without
from sandbox.discord.state.messages import create_message, delete_message, store_file
from sandbox.discord.state.model import (
    AUTOCOMPLETE,
    COMMAND,
    COMPONENT,
    MODAL_SUBMIT,
    Call,
    Channel,
    Guild,
    Json,
    Member,
    Message,
    Role,
    State,
    User,
)
from sandbox.discord.state.rules import Upload

ROW, BUTTON = 1, 2


@dataclass(frozen=True)
class Choice:
    """One suggestion of an autocompletion."""

    name: str
    value: Any


class People:
    """Act as the people in the stand-in's guilds.

    Whoever acts is a Member, in a direct conversation the User behind it is taken. What Discord's own client
    would not let a person do (an unknown command, a disabled button) raises LookupError.
    """

    state: State
    commands: CommandRegistry
    gateway: Gateway

    async def slash(
        self,
        who: Member,
        channel: Channel,
        command: str,
        /,
        *,
        timeout: float = 10.0,
        **options: Any,
    ) -> Call:
        """Use a slash command by its full name, e.g. `"music import", task_id="X"`; send INTERACTION_CREATE.

        Options are checked against the synced definition; a user is given as Member, a channel as Channel, a file as
        what `attach` returned.
        Waits up to `timeout` seconds for a session of the guild's shard. Raises UnknownCommandError.
        """
        await self._session(channel, timeout)
        actor = _actor(who, channel)
        data = self.commands.invocation(actor, channel, command, options)
        return self._send(Call(self.state, COMMAND, actor, channel, data))

    async def autocomplete(
        self,
        who: Member,
        channel: Channel,
        command: str,
        option: str,
        typed: str,
        /,
        *,
        timeout: float = 5.0,
        **others: Any,
    ) -> list[Choice]:
        """Type into an option and return the suggestions; `others` are options filled in before."""
        call = await self.start_autocomplete(who, channel, command, option, typed, timeout=timeout, **others)
        await call.acknowledged(timeout)
        return [Choice(choice["name"], choice["value"]) for choice in call.choices]

    async def start_autocomplete(
        self,
        who: Member,
        channel: Channel,
        command: str,
        option: str,
        typed: str,
        /,
        *,
        timeout: float = 5.0,
        **others: Any,
    ) -> Call:
        """Type into an option and return the Call at once, for measuring its answer."""
        await self._session(channel, timeout)
        actor = _actor(who, channel)
        data = self.commands.invocation(actor, channel, command, others | {option: typed}, focused=option)
        return self._send(Call(self.state, AUTOCOMPLETE, actor, channel, data))

    async def message_menu(
        self,
        who: Member,
        message: Message,
        name: str,
        timeout: float = 10.0,
        *,
        forwards: Message | None = None,
    ) -> Call:
        """Choose an entry of a message's menu; `forwards` is another message that it carries as a forwarded one."""
        channel = message.channel
        await self._session(channel, timeout)
        actor = _actor(who, channel)
        command = self.commands.find(name, MESSAGE_MENU, channel)
        self.commands.check_usable(command, actor)
        data: Json = {
            "id": command["id"],
            "name": command["name"],
            "type": MESSAGE_MENU,
            "target_id": str(message.id),
            "resolved": {"messages": {str(message.id): payloads.message(message)}},
        }
        if forwards is not None:
            data["resolved"]["messages"][str(message.id)]["message_snapshots"] = [
                {"message": payloads.message(forwards)}
            ]
        return self._send(Call(self.state, COMMAND, actor, channel, data))

    async def press(
        self,
        who: Member,
        message: Message,
        label_or_custom_id: str,
        timeout: float = 10.0,
    ) -> Call:
        """Press a button that is there and can be pressed; raises NoSuchComponentError otherwise."""
        if message.deleted:
            raise NoSuchComponentError("the message is deleted")
        for button in message.buttons:
            if label_or_custom_id in {button.label, button.custom_id}:
                if button.disabled or button.custom_id is None:
                    raise NoSuchComponentError(f"{label_or_custom_id!r} is disabled or a link")
                return await self.press_custom_id(who, message, button.custom_id, timeout)
        labels = [button.label for button in message.buttons]
        raise NoSuchComponentError(f"no button {label_or_custom_id!r}; there are {labels}")

    async def press_custom_id(
        self,
        who: Member,
        message: Message,
        custom_id: str,
        timeout: float = 10.0,
        *,
        values: Sequence[object] = (),
    ) -> Call:
        """Send the press of a button by its custom id, whether it is there or not, as a forger would.

        A forged button is shown to the bot as the message's only one, since discord.py looks for it there. With
        `values` it says that it is a menu in which they were chosen.
        """
        await self._session(message.channel, timeout)
        data: Json = {"custom_id": custom_id, "component_type": BUTTON}
        if values:
            data["values"] = list(values)
        call = Call(self.state, COMPONENT, _actor(who, message.channel), message.channel, data, message)
        if all(button.custom_id != custom_id for button in message.buttons):
            forged = {"type": BUTTON, "id": 2, "style": 2, "label": "forged", "custom_id": custom_id}
            call.forged_components = [{"type": ROW, "id": 1, "components": [forged]}]
        return self._send(call)

    async def select(
        self,
        who: Member,
        message: Message,
        custom_id: str,
        values: Sequence[Choosable],
        timeout: float = 10.0,
    ) -> Call:
        """Choose in a menu; raises NoSuchComponentError when it does not offer that."""
        for item in walk_components(message.components):
            if item["type"] in MENUS and item["custom_id"] == custom_id and not item.get("disabled"):
                found, resolved = chosen(item, values)
                data: Json = {"custom_id": custom_id, "component_type": item["type"], "values": found}
                if item["type"] != STRING_MENU:
                    data["resolved"] = resolved
                await self._session(message.channel, timeout)
                actor = _actor(who, message.channel)
                return self._send(Call(self.state, COMPONENT, actor, message.channel, data, message))
        raise NoSuchComponentError(f"no menu {custom_id!r}")

    async def submit_modal(
        self, who: Member, call: Call, values: Mapping[str, Filled], *, components: list[Json] | None = None
    ) -> Call:
        """Fill in the modal a call was answered with, by custom id, and send it.

        What is not named stays as the modal shows it. `components` are sent in the place of that, as a forger would.
        """
        if call.modal is None:
            raise NoSuchComponentError("the interaction was not answered with a modal")
        await self._session(call.channel, 10.0)
        resolved: Json = {}
        if components is None:
            components, resolved = filled(call.modal, values)
        data = {"custom_id": call.modal["custom_id"], "components": components, "resolved": resolved}
        actor = _actor(who, call.channel)
        submitted = Call(self.state, MODAL_SUBMIT, actor, call.channel, data, call.message)
        submitted.opened_by = call
        return self._send(submitted)

    def attach(self, filename: str, data: bytes) -> Attachment:
        """Upload a file for the option of a command, which Discord keeps for a while and shows to nobody."""
        folder = f"ephemeral-attachments/{self.state.application_id}"
        return store_file(self.state, folder, Upload(0, filename, data), {}, is_signed=True)

    def post_as(self, who: Member, channel: Channel, content: str, files: Mapping[str, bytes] | None = None) -> Message:
        """Write an ordinary message as a person, with files by their names."""
        uploads = [Upload(number, name, data) for number, (name, data) in enumerate((files or {}).items())]
        return create_message(channel, who.user, {"content": content}, uploads)

    def chat(self, who: Member, channel: Channel, count: int) -> list[Message]:
        """Write `count` ordinary messages as a person, one after the other; hundreds cost next to nothing."""
        return [self.post_as(who, channel, f"line {number}") for number in range(1, count + 1)]

    def dm(self, who: Member) -> Channel:
        """Return the direct conversation between a person and the bot."""
        return self.state.direct(who.user)

    def close_dms(self, who: Member, closed: bool = True) -> None:
        """Let a person take no more direct messages from the bot, or take them again."""
        who.user.dms_open = not closed

    def delete_message(self, message: Message) -> None:
        """Delete a message, as its author or a moderator."""
        if not message.deleted:
            delete_message(message)

    def delete_channel(self, channel: Channel) -> None:
        """Delete a channel or thread with all that is in it."""
        guild = channel.guild
        if guild is None:
            raise ValueError("a direct conversation cannot be deleted")
        for thread in [item for item in guild.channels if item.parent is channel]:
            self.delete_channel(thread)
        self.state.publish("THREAD_DELETE" if channel.parent is not None else "CHANNEL_DELETE", guild, channel)
        guild.channels.remove(channel)
        channel.deleted = True
        for message in list(channel.history.values()):
            message.deleted = True
        channel.history.clear()

    def archive_thread(self, thread: Channel, locked: bool = False) -> None:
        """Archive a thread; unless locked, a new message opens it again."""
        thread.archived, thread.locked = True, locked
        self.state.publish("THREAD_UPDATE", thread.guild, thread)

    def lock_thread(self, thread: Channel) -> None:
        """Lock a thread but leave it open, which `archive_thread` does not; who manages threads may still write."""
        thread.locked = True
        self.state.publish("THREAD_UPDATE", thread.guild, thread)

    def give_role(self, who: Member, role: Role) -> None:
        """Give a member a role."""
        who.roles.append(role)

    def remove_member(self, who: Member) -> None:
        """Let a member leave the guild."""
        who.guild.members.pop(who.id, None)
        self.state.publish("GUILD_MEMBER_REMOVE", who.guild, who)

    def remove_guild(self, guild: Guild) -> None:
        """Throw the bot out of a guild."""
        guild.removed = True
        self.state.publish("GUILD_DELETE", guild, guild)
        self.state.guilds.pop(guild.id, None)

    def invite_again(self, guild: Guild) -> None:
        """Let the bot into a guild again that it was thrown out of."""
        guild.removed, guild.joined_at = False, self.state.clock.wall()
        self.state.guilds[guild.id] = guild
        self.state.publish("GUILD_CREATE", guild, guild)

    def deliver_again(self, call: Call, shard: int | None = None) -> None:
        """Send an interaction once more under the same id: to the sessions that had it, or to that of a `shard`."""
        if shard is None:
            self._send(call)
        else:
            self.gateway.current[shard].dispatch("INTERACTION_CREATE", self._interaction(call))

    async def _session(self, channel: Channel, timeout: float) -> None:
        await self.state.changed.wait_for(
            lambda: bool(self.gateway.sessions_for(channel.guild)), timeout, "gateway session of the channel's shard"
        )

    def _interaction(self, call: Call) -> Json:
        return without(payloads.interaction_create(call), self.state.left_out)

    def _send(self, call: Call) -> Call:
        for session in self.gateway.sessions_for(call.guild):
            session.dispatch("INTERACTION_CREATE", self._interaction(call))
        return call


def _actor(who: Member, channel: Channel) -> Member | User:
    if channel.guild is None:
        return who.user
    if who.guild is not channel.guild:
        raise ValueError(f"{who.name} is a member of another guild")
    return who
