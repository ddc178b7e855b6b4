"""A local Discord: REST API v10 and gateway over real sockets, judged by Discord's own description."""

from sandbox.discord.forms import NoSuchComponentError
from sandbox.discord.people import Choice
from sandbox.discord.rest.faults import Fault
from sandbox.discord.rest.judge import Violation
from sandbox.discord.rest.requests import Refusal, Request
from sandbox.discord.standin import DiscordStandIn
from sandbox.discord.state.commands import UnknownCommandError
from sandbox.discord.state.content import Attachment, Button, Revision
from sandbox.discord.state.model import Call, Channel, Guild, Member, Message, Role, User

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
