"""Discord's permission bits by name, and the sets the stand-in hands out by default."""

from __future__ import annotations

from collections.abc import Iterable

PERMISSION_BITS: dict[str, int] = {
    name: 1 << bit
    for name, bit in {
        "create_instant_invite": 0,
        "kick_members": 1,
        "ban_members": 2,
        "administrator": 3,
        "manage_channels": 4,
        "manage_guild": 5,
        "add_reactions": 6,
        "view_audit_log": 7,
        "view_channel": 10,
        "send_messages": 11,
        "manage_messages": 13,
        "embed_links": 14,
        "attach_files": 15,
        "read_message_history": 16,
        "mention_everyone": 17,
        "use_external_emojis": 18,
        "connect": 20,
        "speak": 21,
        "manage_roles": 28,
        "manage_webhooks": 29,
        "use_application_commands": 31,
        "manage_threads": 34,
        "create_public_threads": 35,
        "send_messages_in_threads": 38,
    }.items()
}
"""Names as discord.py spells them, bits as Discord's reference ("Permissions") numbers them."""

BOT_PERMISSIONS = frozenset(
    {
        "view_channel",
        "send_messages",
        "send_messages_in_threads",
        "embed_links",
        "attach_files",
        "read_message_history",
    }
)
"""What a bot that was invited with the six permissions it needs may do, and nothing else."""

MEMBER_PERMISSIONS = BOT_PERMISSIONS | {"add_reactions", "use_application_commands"}
"""What an ordinary member may do."""

ALL_PERMISSIONS = sum(PERMISSION_BITS.values())
"""Every permission named here, as one number."""


def bits(names: Iterable[str]) -> int:
    """Return permission names as one number; an unknown name raises KeyError.

    An administrator has every permission.
    """
    number = 0
    for name in names:
        number |= PERMISSION_BITS[name]
    return ALL_PERMISSIONS if number & PERMISSION_BITS["administrator"] else number
