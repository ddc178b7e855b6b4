"""Routes of interactions: the first answer, and follow-ups through the token."""

from __future__ import annotations

from typing import Any

from sandbox.discord.rest.requests import Context, Route
from sandbox.discord.state import payloads
from sandbox.discord.state.errors import invalid, refuse
from sandbox.discord.state.messages import (
    create_message,
    create_thinking,
    delete_message,
    edit_message,
    require_unlocked,
)
from sandbox.discord.state.model import AUTOCOMPLETE, COMMAND, COMPONENT, EPHEMERAL, MODAL_SUBMIT, Call, Message
from sandbox.discord.state.rules import check_choices, check_modal

MESSAGE, DEFERRED_MESSAGE, DEFERRED_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9

ALLOWED_ANSWERS: dict[int, set[int]] = {
    COMMAND: {MESSAGE, DEFERRED_MESSAGE, MODAL},
    COMPONENT: {MESSAGE, DEFERRED_MESSAGE, DEFERRED_UPDATE, UPDATE, MODAL},
    AUTOCOMPLETE: {CHOICES},
    MODAL_SUBMIT: {MESSAGE, DEFERRED_MESSAGE, DEFERRED_UPDATE, UPDATE},
}
CHAT_INPUT_REPLY, MENU_REPLY = 20, 23


def callback(context: Context) -> tuple[int, Any]:
    """Answer `POST /interactions/{interaction_id}/{interaction_token}/callback`."""
    call = context.state.calls.get(context.number("interaction_id", 10062))
    if call is None or call.token != context.match["interaction_token"]:
        raise refuse(10062)
    if call.acknowledged_at is not None:
        raise refuse(40060)
    if call.late:
        raise refuse(10062)
    body = context.body or {}
    kind = body.get("type")
    if kind not in ALLOWED_ANSWERS[call.kind]:
        raise invalid(["type"], "BASE_TYPE_CHOICES", f"Not an answer to an interaction of type {call.kind}.")
    data = body.get("data") or {}
    if kind == CHOICES:
        call.choices = data.get("choices") or []
        check_choices(call.choices)
    elif kind == MODAL:
        check_modal(data)
        call.modal = data
    elif kind == MESSAGE:
        call.original = create_message(
            _open_channel(call), context.state.bot, data, context.uploads, call=call, message_type=_reply_type(call)
        )
    elif kind == DEFERRED_MESSAGE:
        call.original = create_thinking(
            _open_channel(call), call, ephemeral=_wants_ephemeral(data), message_type=_reply_type(call)
        )
    else:
        _take_component_message(call, data, context, update=kind == UPDATE)
    call.acknowledge(kind, ephemeral=kind in {MESSAGE, DEFERRED_MESSAGE} and _wants_ephemeral(data))
    if context.query.get("with_response", "").lower() in {"1", "true"}:
        return 200, payloads.callback_response(call)
    return 204, None


def _take_component_message(call: Call, data: dict[str, Any], context: Context, *, update: bool) -> None:
    if call.message is None or call.message.deleted:
        raise refuse(10008)
    if update:
        require_unlocked(call.channel)
        edit_message(call.message, data, context.uploads)
        call.updated = True
    call.original = call.message


def _wants_ephemeral(data: dict[str, Any]) -> bool:
    return bool((data.get("flags") or 0) & EPHEMERAL)


def _reply_type(call: Call) -> int:
    if call.kind != COMMAND:
        return 0
    return CHAT_INPUT_REPLY if call.data["type"] == 1 else MENU_REPLY


def _open_channel(call: Call) -> Any:
    if call.channel.deleted:
        raise refuse(10003)
    require_unlocked(call.channel)
    return call.channel


def _call(context: Context) -> Call:
    call = context.state.calls_by_token.get(context.match["webhook_token"])
    if call is None or context.match["webhook_id"] != str(context.state.application_id):
        raise refuse(10015)
    if call.expired:
        raise refuse(50027)
    if call.acknowledged_at is None:
        raise refuse(10015)
    return call


def _own_message(context: Context, call: Call) -> Message:
    name = context.match.get("message_id", "@original")
    message = call.original
    if name != "@original":
        candidates = [call.original, *call.followups]
        message = next((item for item in candidates if item is not None and str(item.id) == name), None)
    if message is None or message.deleted:
        raise refuse(10008)
    return message


def follow_up(context: Context) -> tuple[int, Any]:
    """Answer `POST /webhooks/{webhook_id}/{webhook_token}`.

    The first one after a deferral takes the place of the "thinking" message and keeps its visibility.
    """
    call = _call(context)
    channel = _open_channel(call)
    body = context.body or {}
    deferral_deleted = call.original is not None and call.original.thinking and call.original.deleted
    if deferral_deleted and not context.state.follow_up_after_deletion:
        raise refuse(10008)
    if call.thinking and call.original is not None:
        edit_message(call.original, body, context.uploads)
        call.changed.notify()
        return 200, payloads.message(call.original)
    message = create_message(channel, context.state.bot, body, context.uploads, call=call)
    call.followups.append(message)
    call.changed.notify()
    return 200, payloads.message(message)


def get_own(context: Context) -> tuple[int, Any]:
    """Answer `GET /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}`."""
    return 200, payloads.message(_own_message(context, _call(context)))


def patch_own(context: Context) -> tuple[int, Any]:
    """Answer `PATCH /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}`."""
    call = _call(context)
    message = _own_message(context, call)
    require_unlocked(call.channel)
    edit_message(message, context.body or {}, context.uploads)
    if message is call.original:
        call.updated = True
    call.changed.notify()
    return 200, payloads.message(message)


def delete_own(context: Context) -> tuple[int, Any]:
    """Answer `DELETE /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}`."""
    call = _call(context)
    message = _own_message(context, call)
    delete_message(message)
    call.deleted_original = call.deleted_original or message is call.original
    call.changed.notify()
    return 204, None


WEBHOOK = "/webhooks/{webhook_id}/{webhook_token}"

ROUTES = [
    Route("POST", "/interactions/{interaction_id}/{interaction_token}/callback", callback, token_only=True),
    Route("POST", WEBHOOK, follow_up, "POST webhook", "webhook_token", token_only=True),
    *(
        Route(method, f"{WEBHOOK}/messages/{name}", handler, f"{method} webhook", "webhook_token", token_only=True)
        for name in ("@original", "{message_id}")
        for method, handler in (("GET", get_own), ("PATCH", patch_own), ("DELETE", delete_own))
    ),
]
