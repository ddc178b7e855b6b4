"""A local Discord: REST API v10 and gateway over real sockets, judged by Discord's own description."""

from sandbox.discord.commands import UnknownCommandError
from sandbox.discord.content import Attachment, Button, Revision
from sandbox.discord.faults import Fault
from sandbox.discord.forms import NoSuchComponentError
from sandbox.discord.judge import Violation
from sandbox.discord.model import Call, Channel, Guild, Member, Message, Role, User
from sandbox.discord.people import Choice
from sandbox.discord.rest import Refusal, Request
from sandbox.discord.standin import DiscordStandIn

__all__ = [
    "Attachment",
    "Button",
    "Call",
    "Channel",
    "Choice",
    "DiscordStandIn",
    "Fault",
    "Guild",
    "Member",
    "Message",
    "NoSuchComponentError",
    "Refusal",
    "Request",
    "Revision",
    "Role",
    "UnknownCommandError",
    "User",
    "Violation",
]
