"""Routes of channels, their messages and direct conversations."""

from __future__ import annotations

from typing import Any

from sandbox.discord.rest.requests import Context, Route
from sandbox.discord.state import payloads
from sandbox.discord.state.errors import invalid, refuse
from sandbox.discord.state.messages import create_message, delete_message, edit_message, require_unlocked
from sandbox.discord.state.model import Channel, Message
from sandbox.discord.state.permissions import PERMISSION_BITS


def _channel(context: Context) -> Channel:
    channel = context.state.channels.get(context.number("channel_id", 10003))
    if channel is None or channel.deleted:
        raise refuse(10003)
    guild = channel.guild
    if guild is not None and (guild.removed or not _may(channel, "view_channel")):
        raise refuse(50001)
    return channel


def _may(channel: Channel, permission: str) -> bool:
    return bool(channel.bot_bits & PERMISSION_BITS[permission])


def _require(channel: Channel, permission: str) -> None:
    if not _may(channel, permission):
        raise refuse(50013)


def _message(context: Context, channel: Channel) -> Message:
    message = channel.history.get(context.number("message_id", 10008))
    # An ephemeral message exists only through its interaction's token.
    if message is None or message.ephemeral:
        raise refuse(10008)
    return message


def get_channel(context: Context) -> tuple[int, Any]:
    """Answer `GET /channels/{channel_id}`."""
    return 200, payloads.channel(_channel(context))


def send_typing(context: Context) -> tuple[int, Any]:
    """Answer `POST /channels/{channel_id}/typing`."""
    _require(_channel(context), "send_messages")
    return 204, None


def post_message(context: Context) -> tuple[int, Any]:
    """Answer `POST /channels/{channel_id}/messages`."""
    channel = _channel(context)
    body, state = context.body or {}, context.state
    if channel.kind == "dm" and channel.recipient is not None:
        if not state.shared_guild(channel.recipient):
            raise refuse(50278)
        if not channel.recipient.dms_open:
            raise refuse(50007)
    else:
        _check_may_post(channel, body, bool(context.uploads))
    message = create_message(channel, state.bot, body, context.uploads)
    return 200, payloads.message(message)


def _check_may_post(channel: Channel, body: dict[str, Any], uploads: bool) -> None:
    _require(channel, "send_messages_in_threads" if channel.kind == "thread" else "send_messages")
    if uploads:
        _require(channel, "attach_files")
    if body.get("embeds"):
        _require(channel, "embed_links")
    if body.get("message_reference") and not _may(channel, "read_message_history"):
        raise refuse(160002)
    require_unlocked(channel)


def list_messages(context: Context) -> tuple[int, Any]:
    """Answer `GET /channels/{channel_id}/messages`: newest first, `limit` of them around one place."""
    channel = _channel(context)
    limit_text = context.query.get("limit", "50")
    if not limit_text.isdigit() or not 1 <= int(limit_text) <= 100:
        raise invalid(["limit"], "NUMBER_TYPE_MAX", "Must be between 1 and 100.")
    limit = int(limit_text)
    # Without the permission Discord returns nothing rather than an error ("Get Channel Messages").
    posts = channel.messages if _may(channel, "read_message_history") else []
    places: dict[str, int] = {}
    for name in ("before", "after", "around"):
        if name in context.query:
            if not context.query[name].isdigit():
                raise invalid([name], "NUMBER_TYPE_COERCE", "Value is not snowflake.")
            places[name] = int(context.query[name])
    if "around" in places:
        earlier = [post for post in posts if post.id < places["around"]]
        later = [post for post in posts if post.id >= places["around"]]
        half = limit // 2
        chosen = (earlier[-half:] if half else []) + later[: limit - half]
    elif "after" in places:
        chosen = [post for post in posts if post.id > places["after"]][:limit]
    else:
        chosen = [post for post in posts if post.id < places.get("before", post.id + 1)][-limit:]
    return 200, [payloads.message(post) for post in reversed(chosen)]


def get_message(context: Context) -> tuple[int, Any]:
    """Answer `GET /channels/{channel_id}/messages/{message_id}`."""
    channel = _channel(context)
    _require(channel, "read_message_history")
    return 200, payloads.message(_message(context, channel))


def patch_message(context: Context) -> tuple[int, Any]:
    """Answer `PATCH /channels/{channel_id}/messages/{message_id}`."""
    channel = _channel(context)
    message = _message(context, channel)
    if message.author is not context.state.bot:
        raise refuse(50005)
    if channel.archived:
        raise refuse(50083)
    if context.uploads:
        _require(channel, "attach_files")
    edit_message(message, context.body or {}, context.uploads)
    return 200, payloads.message(message)


def remove_message(context: Context) -> tuple[int, Any]:
    """Answer `DELETE /channels/{channel_id}/messages/{message_id}`."""
    channel = _channel(context)
    message = _message(context, channel)
    if message.author is not context.state.bot:
        _require(channel, "manage_messages")
    if channel.archived:
        raise refuse(50083)
    delete_message(message)
    return 204, None


def open_direct(context: Context) -> tuple[int, Any]:
    """Answer `POST /users/@me/channels`."""
    recipient = str((context.body or {}).get("recipient_id", ""))
    user = context.state.users.get(int(recipient)) if recipient.isdigit() else None
    if user is None or user is context.state.bot:
        raise refuse(50033)
    return 200, payloads.channel(context.state.direct(user))


CHANNEL = "/channels/{channel_id}"
MESSAGES = CHANNEL + "/messages"
MESSAGE = MESSAGES + "/{message_id}"

ROUTES = [
    Route("GET", CHANNEL, get_channel),
    Route("POST", CHANNEL + "/typing", send_typing),
    Route("POST", MESSAGES, post_message, bucket="POST messages"),
    Route("GET", MESSAGES, list_messages, bucket="GET messages"),
    Route("GET", MESSAGE, get_message, bucket="GET message"),
    Route("PATCH", MESSAGE, patch_message, bucket="PATCH message"),
    Route("DELETE", MESSAGE, remove_message, bucket="DELETE message"),
    Route("POST", "/users/@me/channels", open_direct),
]
