"""Routes of the bot's account, its application and commands, and the guilds it is in."""

from __future__ import annotations

from typing import Any

from sandbox.discord.rest.requests import Context, Route
from sandbox.discord.state import payloads
from sandbox.discord.state.errors import refuse
from sandbox.discord.state.model import Guild

DEFAULT_FALSE = {"required", "autocomplete"}


def get_gateway(context: Context) -> tuple[int, Any]:
    """Answer `GET /gateway/bot`."""
    return 200, {"url": context.gateway_url, "shards": context.shards, "session_start_limit": context.session_starts}


def get_me(context: Context) -> tuple[int, Any]:
    """Answer `GET /users/@me`."""
    return 200, payloads.own_user(context.state)


def get_user(context: Context) -> tuple[int, Any]:
    """Answer `GET /users/{user_id}`."""
    user = context.state.users.get(context.number("user_id", 10013))
    if user is None:
        raise refuse(10013)
    return 200, payloads.user(user)


def get_application(context: Context) -> tuple[int, Any]:
    """Answer `GET /applications/@me` and its older name."""
    return 200, payloads.application(context.state)


def list_own_guilds(context: Context) -> tuple[int, Any]:
    """Answer `GET /users/@me/guilds`."""
    keys = ("id", "name", "icon", "banner", "features")
    return 200, [
        {key: payloads.guild(guild)[key] for key in keys}
        | {"owner": False, "permissions": payloads.member_permissions(guild.members[context.state.bot.id])}
        for guild in context.state.guilds.values()
    ]


def _guild(context: Context) -> Guild:
    guild = context.state.guilds.get(context.number("guild_id", 10004))
    if guild is None:
        raise refuse(10004)
    return guild


def get_guild(context: Context) -> tuple[int, Any]:
    """Answer `GET /guilds/{guild_id}`."""
    return 200, payloads.guild(_guild(context))


def list_channels(context: Context) -> tuple[int, Any]:
    """Answer `GET /guilds/{guild_id}/channels`."""
    return 200, [payloads.channel(item) for item in _guild(context).channels if item.parent is None]


def list_roles(context: Context) -> tuple[int, Any]:
    """Answer `GET /guilds/{guild_id}/roles`."""
    return 200, payloads.roles(_guild(context))


def get_member(context: Context) -> tuple[int, Any]:
    """Answer `GET /guilds/{guild_id}/members/{user_id}`."""
    member = _guild(context).members.get(context.number("user_id", 10013))
    if member is None:
        raise refuse(10007)
    return 200, payloads.member(member)


def get_audit_log(context: Context) -> tuple[int, Any]:
    """Answer `GET /guilds/{guild_id}/audit-logs`, which has no entries but of the bot's coming."""
    guild = _guild(context)
    if "view_audit_log" not in guild.bot_permissions:
        raise refuse(50013)
    log = payloads.audit_log(guild)
    wanted = context.query.get("action_type", str(payloads.BOT_ADD))
    if wanted != str(payloads.BOT_ADD) or "before" in context.query:
        log["audit_log_entries"] = []
    return 200, log


def _scope(context: Context) -> int | None:
    if context.match["application_id"] != str(context.state.application_id):
        raise refuse(50001)
    if "guild_id" not in context.match:
        return None
    guild = context.state.guilds.get(context.number("guild_id", 10004))
    # Commands of a guild that the bot is not in are refused like this, not as unknown.
    if guild is None:
        raise refuse(50001)
    return guild.id


def list_commands(context: Context) -> tuple[int, Any]:
    """Answer `GET /applications/{application_id}[/guilds/{guild_id}]/commands`."""
    whole = context.query.get("with_localizations") == "true"
    return 200, [_listed(command, whole=whole) for command in context.commands.scope(_scope(context))]


def _listed(command: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """Return a command or option as it is listed: without what is false, and without translations unless asked."""
    listed = {name: value for name, value in command.items() if name not in DEFAULT_FALSE or value}
    if not whole:
        listed = {name: value for name, value in listed.items() if not name.endswith("_localizations")}
    if "options" in listed:
        listed["options"] = [_listed(option, whole=whole) for option in listed["options"]]
    return listed


def replace_commands(context: Context) -> tuple[int, Any]:
    """Answer `PUT /applications/{application_id}[/guilds/{guild_id}]/commands`."""
    return 200, context.commands.replace(_scope(context), context.body or [])


def get_command(context: Context) -> tuple[int, Any]:
    """Answer `GET /applications/{application_id}[/guilds/{guild_id}]/commands/{command_id}`."""
    for command in context.commands.scope(_scope(context)):
        if command["id"] == context.match["command_id"]:
            return 200, command
    raise refuse(10063)


COMMAND_SCOPES = (
    "/applications/{application_id}/commands",
    "/applications/{application_id}/guilds/{guild_id}/commands",
)

ROUTES = [
    Route("GET", "/gateway/bot", get_gateway),
    Route("GET", "/users/@me", get_me),
    Route("GET", "/users/@me/guilds", list_own_guilds),
    Route("GET", "/users/{user_id}", get_user),
    Route("GET", "/applications/@me", get_application),
    Route("GET", "/oauth2/applications/@me", get_application),
    Route("GET", "/guilds/{guild_id}", get_guild),
    Route("GET", "/guilds/{guild_id}/channels", list_channels),
    Route("GET", "/guilds/{guild_id}/audit-logs", get_audit_log),
    Route("GET", "/guilds/{guild_id}/roles", list_roles),
    Route("GET", "/guilds/{guild_id}/members/{user_id}", get_member),
    *(Route("GET", scope, list_commands) for scope in COMMAND_SCOPES),
    *(Route("PUT", scope, replace_commands) for scope in COMMAND_SCOPES),
    *(Route("GET", scope + "/{command_id}", get_command) for scope in COMMAND_SCOPES),
]
