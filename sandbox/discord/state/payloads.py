"""The JSON shapes Discord answers with and sends over the gateway."""

from __future__ import annotations

import datetime
from typing import Any

from sandbox.discord.clock import snowflake_seconds
from sandbox.discord.state.content import Attachment, full_name
from sandbox.discord.state.model import (
    COMMAND,
    COMPONENT,
    MODAL_SUBMIT,
    Call,
    Channel,
    Guild,
    Member,
    Message,
    Role,
    State,
    User,
)
from sandbox.discord.state.permissions import ALL_PERMISSIONS, PERMISSION_BITS, bits

Json = dict[str, Any]

TEAM_OFFSET = 1 << 22
"""What makes the id of the team out of the application's."""

BOT_ADD = 28
"""The action in the audit log with which a bot comes into a guild."""

CHANNEL_TYPE_NUMBERS = {"text": 0, "dm": 1, "voice": 2, "announcement": 5, "thread": 11}


def iso(seconds: float) -> str:
    """Return seconds since 1970 as Discord writes times."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="microseconds")


def user(account: User) -> Json:
    """Return a user object."""
    data: Json = {
        "id": str(account.id),
        "username": account.name,
        "global_name": None if account.bot else account.name.title(),
        "discriminator": "0",
        "avatar": None,
        "public_flags": 0,
        "flags": 0,
        "primary_guild": None,
    }
    if account.bot:
        data["bot"] = True
    return data


def own_user(state: State) -> Json:
    """Return the bot's own account with what only its owner sees."""
    private = {"mfa_enabled": False, "locale": "en-US", "verified": True, "email": None}
    return user(state.bot) | private


def member(who: Member, guild_id: int | None = None) -> Json:
    """Return a guild member object; gateway events name the guild, REST answers do not."""
    data: Json = {
        "user": user(who.user),
        "nick": None,
        "avatar": None,
        "banner": None,
        "roles": [str(role_id(who.guild, 1 if who.user.bot else 2)), *(str(role.id) for role in who.roles)],
        "joined_at": iso(who.guild.joined_at if who.user.bot else snowflake_seconds(who.guild.id)),
        "premium_since": None,
        "communication_disabled_until": None,
        "flags": 0,
        "pending": False,
        "deaf": False,
        "mute": False,
    }
    if guild_id is not None:
        data["guild_id"] = str(guild_id)
    return data


def role_id(guild: Guild, number: int) -> int:
    """Return the id of a role: 0 is @everyone, whose id is the guild's, 1 the bot's own, 2 the members'."""
    return guild.id + number


def roles(guild: Guild) -> list[Json]:
    """Return the guild's roles: @everyone grants nothing, so the bot has exactly its own role's permissions."""
    granted = [("@everyone", 0), ("Coverbot", bits(guild.bot_permissions)), ("Members", 0)]
    fixed = [
        _role(role_id(guild, number), name, permissions, number, managed=number == 1)
        for number, (name, permissions) in enumerate(granted)
    ]
    return fixed + [role(one) for one in guild.roles]


def role(one: Role) -> Json:
    """Return a role that the guild has made."""
    return _role(one.id, one.name, 0, 3 + one.guild.roles.index(one))


def role_event(one: Role) -> Json:
    """Return the data of GUILD_ROLE_CREATE."""
    return {"guild_id": str(one.guild.id), "role": role(one)}


def _role(number: int, name: str, permissions: int, position: int, *, managed: bool = False) -> Json:
    return {
        "id": str(number),
        "name": name,
        "permissions": str(permissions),
        "position": position,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "managed": managed,
        "mentionable": False,
        "icon": None,
        "unicode_emoji": None,
        "flags": 0,
    }


def channel(place: Channel) -> Json:
    """Return a channel, thread or direct-conversation object."""
    data: Json = {
        "id": str(place.id),
        "type": CHANNEL_TYPE_NUMBERS[place.kind],
        "flags": 0,
        "last_message_id": str(next(reversed(place.history))) if place.history else None,
    }
    if place.guild is None:
        data["recipients"] = [user(place.recipient)] if place.recipient else []
        return data
    data |= {"guild_id": str(place.guild.id), "name": place.name, "rate_limit_per_user": 0}
    if place.parent is not None:
        return data | {
            "parent_id": str(place.parent.id),
            "owner_id": str(place.state.bot.id),
            "message_count": len(place.history),
            "member_count": 1,
            "total_message_sent": len(place.history),
            "thread_metadata": {
                "archived": place.archived,
                "locked": place.locked,
                "auto_archive_duration": 1440,
                "archive_timestamp": iso(snowflake_seconds(place.id)),
            },
        }
    return data | {
        "position": place.guild.channels.index(place),
        "parent_id": None,
        "topic": None,
        "nsfw": False,
        "permission_overwrites": _overwrites(place),
    }


def _overwrites(place: Channel) -> list[Json]:
    """Return what differs from the roles: everybody sees a channel that is not hidden, the bot only what it may."""
    overwrites: list[Json] = []
    if place.guild is not None and not place.hidden:
        everybody = str(role_id(place.guild, 0))
        seen = str(PERMISSION_BITS["view_channel"])
        overwrites.append({"id": everybody, "type": 0, "allow": seen, "deny": "0"})
    if place.own_permissions is not None or "view_channel" not in place.bot_permissions:
        allow = bits(place.bot_permissions)
        deny = ALL_PERMISSIONS & ~allow
        overwrites.append({"id": str(place.state.bot.id), "type": 1, "allow": str(allow), "deny": str(deny)})
    return overwrites


def guild(place: Guild) -> Json:
    """Return a guild object as `GET /guilds/{id}` does."""
    tier = 3 if place.upload_limit >= 100 * 2**20 else 2 if place.upload_limit >= 50 * 2**20 else 0
    nothing = (
        "icon description home_header splash discovery_splash banner application_id afk_channel_id "
        "widget_channel_id vanity_url_code rules_channel_id safety_alerts_channel_id "
        "public_updates_channel_id incidents_data max_presences"
    )
    return dict.fromkeys(nothing.split()) | {
        "id": str(place.id),
        "name": place.name,
        "owner_id": str(place.state.owner.id),
        "features": [],
        "region": "us-west",
        "afk_timeout": 300,
        "system_channel_id": str(place.system_channel.id) if place.system_channel is not None else None,
        "system_channel_flags": 0,
        "widget_enabled": False,
        "verification_level": 0,
        "roles": roles(place),
        "default_message_notifications": 0,
        "mfa_level": 0,
        "explicit_content_filter": 0,
        "max_members": 500_000,
        "max_stage_video_channel_users": 50,
        "max_video_channel_users": 25,
        "premium_tier": tier,
        "premium_subscription_count": 0,
        "preferred_locale": place.locale,
        "premium_progress_bar_enabled": False,
        "nsfw": False,
        "nsfw_level": 0,
        "emojis": [],
        "stickers": [],
    }


def guild_create(place: Guild, *, joined: bool) -> Json:
    """Return the guild as GUILD_CREATE carries it: with channels, threads and the bot's own member.

    A guild that was there before has `unavailable` false; without the key the bot was `joined` to it just now.
    """
    known: Json = {} if joined else {"unavailable": False}
    return (
        guild(place)
        | known
        | {
            "joined_at": iso(place.joined_at),
            "large": False,
            "member_count": len(place.members),
            "members": [member(place.members[place.state.bot.id])],
            "channels": [channel(item) for item in place.channels if item.parent is None],
            "threads": [channel(item) for item in place.channels if item.parent is not None and not item.archived],
            "voice_states": [],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }
    )


def application(state: State) -> Json:
    """Return the application as its own bot sees it."""
    return {
        "id": str(state.application_id),
        "name": state.bot.name,
        "icon": None,
        "description": "",
        "type": None,
        "bot": user(state.bot),
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "flags": 0,
        "flags_new": "0",
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "owner": user(state.owner) if not state.team else _team_user(state),
        "approximate_guild_count": len(state.guilds),
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "team": _team(state),
        "eligible_oauth2_scopes": ["bot", "applications.commands"],
    }


def _team_user(state: State) -> Json:
    """Return the account that Discord shows in the place of an owner where a team owns an application."""
    return user(User(state.application_id + TEAM_OFFSET, f"team{state.application_id + TEAM_OFFSET}"))


def _team(state: State) -> Json | None:
    if not state.team:
        return None
    team_id = str(state.application_id + TEAM_OFFSET)
    return {
        "id": team_id,
        "icon": None,
        "name": "The band",
        "owner_user_id": str(next(iter(state.team)).id),
        "members": [
            {
                "membership_state": 2 if accepted else 1,
                "team_id": team_id,
                "role": "admin",
                "permissions": ["*"],
                "user": user(person),
            }
            for person, accepted in state.team.items()
        ],
    }


def audit_log(place: Guild) -> Json:
    """Return the entry that says who brought the bot, as `GET /guilds/{id}/audit-logs` does."""
    bringer = place.added_by
    entries = []
    if bringer is not None:
        own = {"id": str(place.id + 3), "user_id": str(bringer.id), "target_id": str(place.state.bot.id)}
        entries.append(own | {"action_type": BOT_ADD})
    others = ["application_commands", "auto_moderation_rules", "guild_scheduled_events", "integrations"]
    users = [user(place.state.bot), *([user(bringer)] if bringer is not None else [])]
    return {"audit_log_entries": entries, "users": users} | {name: [] for name in (*others, "threads", "webhooks")}


def attachment(file: Attachment, *, ephemeral: bool = False) -> Json:
    """Return an attachment object."""
    data: Json = {
        "id": str(file.id),
        "filename": file.filename,
        "size": file.size,
        "url": file.url,
        "proxy_url": file.url,
        "content_type": file.content_type,
        "flags": 0,
    }
    if file.description is not None:
        data["description"] = file.description
    if file.title is not None:
        data["title"] = file.title
    if ephemeral:
        data["ephemeral"] = True
    return data


def message(post: Message, *, resolve: bool = True) -> Json:
    """Return a message object; `resolve` also carries the message that it answers."""
    state = post.channel.state
    data: Json = {
        "id": str(post.id),
        "channel_id": str(post.channel.id),
        "author": user(post.author),
        "type": post.type,
        "content": post.content,
        "embeds": post.embeds,
        "components": post.components,
        "attachments": [attachment(file, ephemeral=post.ephemeral) for file in post.attachments],
        "mentions": [user(who) for who in post.mentions],
        "mention_roles": [],
        "mention_everyone": post.mention_everyone,
        "flags": post.flags,
        "timestamp": iso(snowflake_seconds(post.id)),
        "edited_timestamp": iso(post.edited_at) if post.edited_at is not None else None,
        "pinned": False,
        "tts": False,
    }
    if post.nonce is not None:
        data["nonce"] = post.nonce
    if post.reference is not None:
        reference = {"type": 0, "message_id": str(post.reference), "channel_id": str(post.channel.id)}
        if post.channel.guild is not None:
            reference["guild_id"] = str(post.channel.guild.id)
        data["message_reference"] = reference
        if resolve:
            target = post.replied_to
            data["referenced_message"] = message(target, resolve=False) if target else None
    call = post.interaction_call
    if call is not None:
        data |= {"webhook_id": str(state.application_id), "application_id": str(state.application_id)}
        data["interaction_metadata"] = interaction_metadata(call)
    return data


def member_permissions(who: Member | None) -> str:
    """Return what a member may do, as a number in text; in a direct conversation only what everybody may."""
    if who is None:
        return str(PERMISSION_BITS["view_channel"] | PERMISSION_BITS["send_messages"])
    return str(bits(who.permissions))


def interaction_metadata(call: Call) -> Json:
    """Return the interaction as messages that answer it name it."""
    data: Json = {
        "id": str(call.id),
        "type": call.kind,
        "user": user(call.user),
        "authorizing_integration_owners": _owners(call),
    }
    if call.message is not None and call.kind == COMPONENT:
        data["interacted_message_id"] = str(call.message.id)
    if call.opened_by is not None:
        data["triggering_interaction_metadata"] = interaction_metadata(call.opened_by)
    if call.original is not None and not call.original.deleted:
        data["original_response_message_id"] = str(call.original.id)
    if call.kind == COMMAND:
        data["name"] = full_name(call.data)
        data["command_type"] = call.data["type"]
    return data


def callback_response(call: Call) -> Json:
    """Return the body of a callback's answer (Discord's reference, "Interaction Callback Response")."""
    interaction: Json = {"id": str(call.id), "type": call.kind, "channel_id": str(call.channel.id)}
    if call.guild is not None:
        interaction["guild_id"] = str(call.guild.id)
    answer: Json = {"interaction": interaction}
    if call.original is not None:
        interaction |= {
            "response_message_id": str(call.original.id),
            "response_message_loading": call.original.thinking,
            "response_message_ephemeral": call.original.ephemeral,
        }
        if call.ack_type in {4, 7}:
            answer["resource"] = {"type": call.ack_type, "message": message(call.original)}
    return answer


def interaction_create(call: Call) -> Json:
    """Return the data of INTERACTION_CREATE."""
    place = channel(call.channel)
    place["permissions"] = member_permissions(call.member)
    data: Json = {
        "id": str(call.id),
        "application_id": str(call.channel.state.application_id),
        "type": call.kind,
        "data": call.data,
        "channel": place,
        "channel_id": str(call.channel.id),
        "token": call.token,
        "version": 1,
        "app_permissions": str(call.channel.bot_bits),
        "locale": call.user.locale,
        "entitlements": [],
        "authorizing_integration_owners": _owners(call),
        "context": 0 if call.guild is not None else 1,
        "attachment_size_limit": call.guild.upload_limit if call.guild is not None else 10 * 2**20,
    }
    if call.guild is not None and call.member is not None:
        data |= {
            "guild_id": str(call.guild.id),
            "guild": {"id": str(call.guild.id), "locale": call.guild.locale, "features": []},
            "guild_locale": call.guild.locale,
            "member": member(call.member) | {"permissions": member_permissions(call.member)},
        }
    else:
        data["user"] = user(call.user)
    if call.message is not None and call.kind in {COMPONENT, MODAL_SUBMIT}:
        data["message"] = message(call.message)
        if call.forged_components is not None:
            data["message"]["components"] = call.forged_components
    return data


def _owners(call: Call) -> dict[str, str]:
    return {"0": str(call.guild.id) if call.guild is not None else "0"}
