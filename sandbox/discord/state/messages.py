"""What happens to messages: creating, editing, deleting, mentions, replies, files."""

from __future__ import annotations

import copy
import itertools
import mimetypes
import re
import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from sandbox.discord.state.content import Attachment, Revision, embed_urls, media_of, walk_components
from sandbox.discord.state.errors import invalid, refuse
from sandbox.discord.state.model import COMPONENTS_V2, EPHEMERAL, LOADING, Call, Channel, Message, State, User
from sandbox.discord.state.permissions import PERMISSION_BITS
from sandbox.discord.state.rules import Upload, check_message, check_upload_sizes

Json = dict[str, Any]

NONCE_SECONDS = 300.0
"""How long a nonce is remembered: "the past few minutes" in Discord's reference, "Create Message"."""

DIRECT_UPLOAD_LIMIT = 10 * 2**20
ADDRESS_SECONDS = 86400
"""How long a signed address of a file is good."""

REPLY = 19
SETTABLE_FLAGS = (1 << 2) | (1 << 12) | (1 << 15)

AUDIO_TYPES = {
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/x-wav",
    ".webp": "image/webp",
}


def upload_limit(channel: Channel) -> int:
    """Return the largest file, in bytes, that may be uploaded to a channel."""
    return channel.guild.upload_limit if channel.guild is not None else DIRECT_UPLOAD_LIMIT


def require_unlocked(channel: Channel) -> None:
    """Refuse what would write into a locked thread: 403 50083 where it is archived, 400 160005 where it is open.

    Seen for posts, follow-ups and first answers alike, private ones too (discord-api-docs, issues 6884 and 7707).
    """
    if channel.locked and not channel.bot_bits & PERMISSION_BITS["manage_threads"]:
        raise refuse(50083, 403) if channel.archived else refuse(160005)


def create_message(
    channel: Channel,
    author: User,
    body: Json,
    uploads: Sequence[Upload] = (),
    *,
    call: Call | None = None,
    message_type: int = 0,
) -> Message:
    """Post a message; raise ApiError when Discord would refuse it.

    With `enforce_nonce` a message the same author posted lately with the same nonce is returned instead.
    """
    state = channel.state
    earlier = _remembered(state, author, body)
    if earlier is not None:
        return earlier
    check_message(body, uploads)
    check_upload_sizes(uploads, upload_limit(channel))
    target = _reply_target(channel, body.get("message_reference"))
    flags = (body.get("flags") or 0) & (SETTABLE_FLAGS | (EPHEMERAL if call is not None else 0))
    message = Message(
        state.ids.now(),
        channel,
        author,
        body.get("content") or "",
        flags=flags,
        type=REPLY if target is not None else message_type,
        nonce=body.get("nonce"),
        reference=target.id if target is not None else None,
        interaction_call=call,
    )
    message.files = _store_files(message, body, uploads)
    message.embeds = _shown_embeds(body.get("embeds") or [], message.files)
    message.components = _shown_components(body.get("components") or [], message.files)
    if not message.substantial:
        raise refuse(50006)
    _apply_mentions(message, body.get("allowed_mentions"), target)
    _remember(state, author, body, message)
    _enter(message)
    return message


def create_thinking(channel: Channel, call: Call, *, ephemeral: bool, message_type: int) -> Message:
    """Post the "is thinking" message of a deferred answer."""
    state = channel.state
    flags = LOADING | (EPHEMERAL if ephemeral else 0)
    message = Message(state.ids.now(), channel, state.bot, "", flags=flags, type=message_type, interaction_call=call)
    _enter(message)
    return message


def edit_message(message: Message, body: Json, uploads: Sequence[Upload] = ()) -> None:
    """Change a message; raise ApiError when Discord would refuse it. An edit notifies nobody."""
    listed = body.get("attachments")
    kept_ids = None if listed is None else {int(entry["id"]) for entry in listed}
    kept = [file for file in message.files if kept_ids is None or file.id in kept_ids]
    shown = embed_urls(message.embeds)
    if kept_ids is not None and "embeds" not in body:
        # A file an embed shows is no attachment any more, so nobody can list it; it stays with its embed.
        kept = [file for file in message.files if file in kept or file.url in shown]
    if message.flags & COMPONENTS_V2 and not message.thinking:
        flags = (body.get("flags") or 0) | COMPONENTS_V2  # once there, it stays
        body = body | {"flags": flags, "components": body.get("components", message.components)}
    check_message(body, uploads, [file.filename for file in kept])
    check_upload_sizes(uploads, upload_limit(message.channel))
    files = kept + _store_files(message, body, uploads)
    embeds = _shown_embeds(body["embeds"] or [], files) if "embeds" in body else message.embeds
    components = _shown_components(body["components"] or [], files) if "components" in body else message.components
    content = (body["content"] or "") if "content" in body else message.content
    if not (content or embeds or files or components):
        raise refuse(50006)
    if not message.thinking:
        message.edited_at = message.channel.state.clock.wall()
    message.content, message.embeds, message.components, message.files = content, embeds, components, files
    message.flags = (message.flags & ~LOADING) | ((body.get("flags") or 0) & SETTABLE_FLAGS)
    _revise(message)
    _announce(message, "MESSAGE_UPDATE")


def delete_message(message: Message) -> None:
    """Take a message away with its files."""
    channel = message.channel
    message.deleted = True
    channel.history.pop(message.id, None)
    for file in message.files:
        channel.state.files.pop(file.id, None)
    if not message.ephemeral:
        channel.state.publish("MESSAGE_DELETE", channel.guild, message)
    _notify(message)


def _enter(message: Message) -> None:
    channel = message.channel
    channel.history[message.id] = message
    if message.author is channel.state.bot:
        channel.state.said.append(message)
    if not message.thinking:
        _revise(message)
    _announce(message, "MESSAGE_CREATE")
    if channel.archived and not message.ephemeral:
        channel.archived = False
        channel.state.publish("THREAD_UPDATE", channel.guild, channel)


def _revise(message: Message) -> None:
    names = [file.filename for file in message.files]
    message.revisions.append(Revision(message.content, message.embeds, message.components, names))


def _announce(message: Message, event: str) -> None:
    if not message.ephemeral:
        message.channel.state.publish(event, message.channel.guild, message)
    _notify(message)


def _notify(message: Message) -> None:
    message.channel.show(message)
    for onlooker in message.channel.state.onlookers:
        onlooker(message)
    if message.interaction_call is not None:
        message.interaction_call.changed.notify()


def _remembered(state: State, author: User, body: Json) -> Message | None:
    if not body.get("enforce_nonce") or body.get("nonce") is None:
        return None
    until, message = state.nonces.get((author.id, str(body["nonce"])), (0.0, None))
    return message if state.clock.monotonic() < until else None


def _remember(state: State, author: User, body: Json, message: Message) -> None:
    if body.get("nonce") is not None:
        until = state.clock.monotonic() + NONCE_SECONDS
        state.nonces[author.id, str(body["nonce"])] = (until, message)


def _reply_target(channel: Channel, reference: Json | None) -> Message | None:
    if not reference or reference.get("type"):
        return None
    target = channel.history.get(int(reference["message_id"]))
    if int(reference.get("channel_id") or channel.id) != channel.id:
        target = None
    if target is not None and not target.ephemeral:
        return target
    if reference.get("fail_if_not_exists", True) is False:
        return None
    raise invalid(["message_reference"], "REPLIES_UNKNOWN_MESSAGE", "Unknown message")


def _store_files(message: Message, body: Json, uploads: Sequence[Upload]) -> list[Attachment]:
    state = message.channel.state
    entries = {int(entry["id"]): entry for entry in body.get("attachments") or []}
    stored = []
    for upload in uploads:
        entry = entries.get(upload.index, {})
        renamed = Upload(upload.index, entry.get("filename") or upload.filename, upload.data)
        folder = f"attachments/{message.channel.id}"
        # The bot's own are looked for by their addresses in many places, which a signature would only blur.
        is_signed = message.author is not state.bot
        stored.append(store_file(state, folder, renamed, entry, is_signed=is_signed))
    return stored


def store_file(state: State, folder: str, upload: Upload, entry: Json, *, is_signed: bool) -> Attachment:
    """Take a file and give it an address; one that `is_signed` is good for a day, and only as it was given.

    Discord's reference, "Signed Attachment CDN URLs": `ex` and `is` are hexadecimal seconds, `hm` is the signature.
    """
    name = upload.safe_filename
    number = state.ids.now()
    suffix = "." + name.rpartition(".")[2].lower()
    content_type = AUDIO_TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    url = f"{state.base_url}/{folder}/{number}/{quote(name)}"
    if is_signed:
        now = int(state.clock.wall())
        url += f"?ex={now + ADDRESS_SECONDS:x}&is={now:x}&hm={secrets.token_hex(32)}&"
    title = upload.filename.rpartition(".")[0] if name != upload.filename else entry.get("title")
    file = Attachment(number, name, content_type, upload.data, url, entry.get("description"), title)
    state.files[number] = file
    return file


def _shown_embeds(embeds: Sequence[Json], files: Sequence[Attachment]) -> list[Json]:
    addresses = {f"attachment://{file.filename}": file.url for file in files}
    shown = []
    for sent in embeds:
        embed = {"type": "rich"} | {key: value for key, value in copy.deepcopy(sent).items() if value is not None}
        for part in ("image", "thumbnail", "author", "footer"):
            for key in ("url", "icon_url"):
                address = embed.get(part, {}).get(key)
                if address in addresses:
                    embed[part][key] = embed[part][f"proxy_{key}"] = addresses[address]
        for entry in embed.get("fields", []):
            entry.setdefault("inline", False)
        shown.append(embed)
    return shown


def _shown_components(components: Sequence[Json], files: Sequence[Attachment]) -> list[Json]:
    """Number components, and show what they name of the message's own files (reference, "Unfurled Media Item")."""
    shown = copy.deepcopy(list(components))
    numbers = itertools.count(1)
    by_address = {f"attachment://{file.filename}": file for file in files}
    for item in walk_components(shown):
        item.setdefault("id", next(numbers))
        for media in media_of(item):
            file = by_address.get(media["url"])
            if file is not None:
                media |= {
                    "id": str(file.id),
                    "url": file.url,
                    "proxy_url": file.url,
                    "content_type": file.content_type,
                    "attachment_id": str(file.id),
                }
    return shown


def _apply_mentions(message: Message, allowed: Json | None, target: Message | None) -> None:
    """Work out who is mentioned and who is notified (Discord's reference, "Allowed Mentions Object")."""
    channel = message.channel
    state, guild = channel.state, channel.guild
    parse = {"users", "roles", "everyone"} if allowed is None else set(allowed.get("parse") or ())
    named = {int(number) for number in (allowed or {}).get("users") or ()}
    written = dict.fromkeys(int(number) for number in re.findall(r"<@!?(\d+)>", message.content))
    mentioned = [number for number in written if "users" in parse or number in named]
    answers = target is not None and (allowed is None or bool(allowed.get("replied_user")))
    if answers and target is not None and target.author.id not in mentioned:
        mentioned.append(target.author.id)
    message.mentions = [state.users[number] for number in mentioned if number in state.users]
    may_everyone = message.author is not state.bot or bool(channel.bot_bits & (1 << 17))
    shouted = re.search(r"@(everyone|here)\b", message.content) is not None
    message.mention_everyone = shouted and "everyone" in parse and may_everyone and guild is not None
    if message.ephemeral:
        return
    present = set(guild.members) if guild is not None else ({channel.recipient.id} if channel.recipient else set())
    message.pings = {who.id for who in message.mentions} & present
    if message.mention_everyone:
        message.pings |= present
    message.pings.discard(message.author.id)
