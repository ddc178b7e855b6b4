"""Discord's rules for messages that hold between fields, so its OpenAPI description misses them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.discord.state.content import media_of, walk_components
from sandbox.discord.state.errors import ApiError, invalid, refuse, too_long

Json = dict[str, Any]
Path = list[str | int]

CONTENT_LIMIT = 2000
EMBED_TOTAL_LIMIT = 6000
FILE_COUNT_LIMIT = 10
COMPONENTS_V2 = 1 << 15
V2_COMPONENT_TYPES = frozenset({9, 10, 11, 12, 13, 14, 17})
EMBED_TEXT_LIMITS = {"title": 256, "description": 4096}
NESTED_TEXT_LIMITS = (("author", "name", 256), ("footer", "text", 2048))
V2_COUNT_LIMIT = 40
V2_TEXT_LIMIT = 4000
TEXT_DISPLAY, STRING_MENU = 10, 3
MENU_TYPES = frozenset({3, 5, 6, 7, 8})
LINK_STYLE = 5
PREMIUM_STYLE = 6


@dataclass
class Upload:
    """A file part of a multipart request: `index` is the n of `files[n]`."""

    index: int
    filename: str
    data: bytes = field(repr=False)

    @property
    def safe_filename(self) -> str:
        """Return the name Discord keeps: blanks become underscores, all but letters, digits and .-_ goes."""
        return re.sub(r"[^A-Za-z0-9._-]", "", self.filename.replace(" ", "_")) or "unknown"


def check_message(body: Json, uploads: Sequence[Upload], kept_filenames: Iterable[str] = ()) -> None:
    """Refuse a message that Discord would refuse for what it says, raising ApiError.

    `kept_filenames` are the files a message that is edited already has.
    """
    content = body.get("content") or ""
    if len(content) > CONTENT_LIMIT:
        raise too_long(["content"], CONTENT_LIMIT)
    embeds = body.get("embeds") or []
    components = body.get("components") or []
    if (body.get("flags") or 0) & COMPONENTS_V2:
        if content or embeds:
            raise invalid(
                ["content" if content else "embeds"],
                "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
                "Cannot be used with the Components V2 flag.",
            )
        _check_layout(components, {upload.safe_filename for upload in uploads} | set(kept_filenames))
    else:
        _check_rows(components)
    if len(uploads) > FILE_COUNT_LIMIT or len(body.get("attachments") or []) > FILE_COUNT_LIMIT:
        raise refuse(30015)
    _check_attachment_entries(body, uploads)
    _check_embeds(embeds, {upload.safe_filename for upload in uploads} | set(kept_filenames))
    _check_components(components)
    _check_allowed_mentions(body.get("allowed_mentions"))


def check_upload_sizes(uploads: Sequence[Upload], limit: int) -> None:
    """Refuse files larger than `limit` bytes with 413 and code 40005."""
    if any(len(upload.data) > limit for upload in uploads):
        raise refuse(40005)


def check_modal(modal: Json) -> None:
    """Refuse a form that Discord would refuse: its title, how much is in it, and what its fields say."""
    components = modal.get("components") or []
    _check_length(["data", "title"], modal.get("title"), 1, 45)
    _check_length(["data", "custom_id"], modal.get("custom_id"), 1, 100)
    if not 1 <= len(components) <= 5:
        raise invalid(["data", "components"], "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    for position, item in enumerate(components):
        at: Path = ["data", "components", position]
        if item.get("type") == 18:
            _check_length([*at, "label"], item.get("label"), 1, 45)
            _check_length([*at, "description"], item.get("description"), 0, 100)
        field = item.get("component") or {}
        _check_length([*at, "component", "placeholder"], field.get("placeholder"), 0, 100)
        if field.get("type") in {21, 22}:
            _check_boxes([*at, "component"], field)
        if field.get("type") == 4:
            _check_length([*at, "component", "value"], field.get("value"), 0, field.get("max_length", 4000))
    _check_components(components)


def _check_boxes(at: Path, field: Json) -> None:
    """Refuse radio buttons (21) or boxes (22) that are too few, too many, or not to be told apart."""
    options = field.get("options") or []
    values = [option.get("value") for option in options]
    if not (2 if field["type"] == 21 else 1) <= len(options) <= 10 or len(set(values)) != len(values):
        raise invalid([*at, "options"], "BASE_TYPE_BAD_LENGTH", "Up to 10 options, each with a value of its own.")
    for option in options:
        _check_length([*at, "options", "label"], option.get("label"), 1, 100)
        _check_length([*at, "options", "value"], option.get("value"), 1, 100)
        _check_length([*at, "options", "description"], option.get("description"), 0, 100)


def check_choices(choices: Sequence[Json]) -> None:
    """Refuse autocompletion that Discord would refuse: more than 25 choices, or one out of bounds."""
    if len(choices) > 25:
        raise invalid(["data", "choices"], "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    for position, choice in enumerate(choices):
        at: Path = ["data", "choices", position]
        _check_length([*at, "name"], choice.get("name"), 1, 100)
        if isinstance(choice.get("value"), str):
            _check_length([*at, "value"], choice["value"], 0, 100)


def _check_length(path: Path, text: Any, least: int, most: int) -> None:
    if not isinstance(text, str) or not text.strip():
        if least:
            raise invalid(path, "BASE_TYPE_REQUIRED", "This field is required")
        return
    if len(text) > most:
        raise too_long(path, most)


def _check_attachment_entries(body: Json, uploads: Sequence[Upload]) -> None:
    indexes = {upload.index for upload in uploads}
    for position, entry in enumerate(body.get("attachments") or []):
        number = int(entry["id"])
        # Ids of uploads are small indexes; anything as large as a snowflake names a file already there.
        if number < 1000 and number not in indexes:
            raise invalid(
                ["attachments", position],
                "ATTACHMENT_NOT_FOUND",
                f"No files[{number}] was uploaded with this request.",
            )


def _check_embeds(embeds: Sequence[Json], filenames: set[str]) -> None:
    total = 0
    for position, embed in enumerate(embeds):
        at: Path = ["embeds", position]
        total += _embed_length(at, embed)
        for part, key in (("image", "url"), ("thumbnail", "url"), ("author", "icon_url"), ("footer", "icon_url")):
            _check_picture([*at, part, key], (embed.get(part) or {}).get(key), filenames)
        if not any(
            embed.get(key) for key in ("title", "description", "fields", "image", "thumbnail", "author", "footer")
        ):
            raise invalid(at, "BASE_TYPE_REQUIRED", "This field is required")
    if total > EMBED_TOTAL_LIMIT:
        raise invalid(["embeds"], "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {EMBED_TOTAL_LIMIT}")


def _embed_length(at: Path, embed: Json) -> int:
    total = 0
    for key, limit in EMBED_TEXT_LIMITS.items():
        text = embed.get(key) or ""
        _check_length([*at, key], text, 0, limit)
        total += len(text)
    for part, key, limit in NESTED_TEXT_LIMITS:
        text = (embed.get(part) or {}).get(key) or ""
        _check_length([*at, part, key], text, 0, limit)
        total += len(text)
    fields = embed.get("fields") or []
    if len(fields) > 25:
        raise invalid([*at, "fields"], "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    for number, entry in enumerate(fields):
        for key, limit in (("name", 256), ("value", 1024)):
            _check_length([*at, "fields", number, key], entry.get(key), 1, limit)
            total += len(entry[key])
    return total


def _check_picture(path: Path, url: Any, filenames: set[str]) -> None:
    if not url:
        return
    if url.startswith("attachment://"):
        name = url.removeprefix("attachment://")
        if name not in filenames:
            raise invalid(path, "ATTACHMENT_NOT_FOUND", f"No file named {name} was uploaded.")
    elif not url.startswith(("http://", "https://")):
        raise invalid(path, "URL_TYPE_INVALID_SCHEME", "Scheme must be one of ('http', 'https').")


def _check_rows(components: Sequence[Json]) -> None:
    if len(components) > 5:
        raise invalid(["components"], "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    for position, row in enumerate(components):
        at: Path = ["components", position]
        if row.get("type") in V2_COMPONENT_TYPES:
            raise invalid(at, "UNION_TYPE_CHOICES", "This component needs the Components V2 flag.")
        items = row.get("components") or []
        width = sum(1 if item.get("type") == 2 else 5 for item in items)
        if not 1 <= width <= 5:
            raise invalid(
                [*at, "components"], "COMPONENT_LAYOUT_WIDTH_EXCEEDED", "A row holds 1 to 5 buttons or one menu."
            )


def _check_layout(components: Sequence[Json], filenames: set[str]) -> None:
    """Refuse more than fits into a message of the second version of components."""
    items = list(walk_components(components))
    if not items:
        raise invalid(["components"], "BASE_TYPE_REQUIRED", "This field is required")
    if len(items) > V2_COUNT_LIMIT:
        raise invalid(["components"], "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED", "At most 40 components in all.")
    shown = sum(len(item.get("content") or "") for item in items if item.get("type") == TEXT_DISPLAY)
    if shown > V2_TEXT_LIMIT:
        raise invalid(["components"], "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED", "At most 4000 characters in all.")
    for item in items:
        for media in media_of(item):
            _check_picture(["components", "media", "url"], media["url"], filenames)


def _check_components(components: Sequence[Json]) -> None:
    seen: set[str] = set()
    for item in walk_components(components):
        custom_id = item.get("custom_id")
        if custom_id is not None:
            if not 1 <= len(custom_id) <= 100:
                raise invalid(
                    ["components", "custom_id"], "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length."
                )
            if custom_id in seen:
                raise invalid(
                    ["components"], "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated"
                )
            seen.add(custom_id)
        if item.get("type") == 2:
            _check_button(item)
        elif item.get("type") in MENU_TYPES:
            _check_menu(item)


def _check_button(item: Mapping[str, Any]) -> None:
    at: Path = ["components", "button"]
    if len(item.get("label") or "") > 80:
        raise too_long([*at, "label"], 80)
    style = item.get("style")
    if style == LINK_STYLE:
        url = item.get("url") or ""
        if item.get("custom_id") or not url.startswith(("http://", "https://", "discord://")):
            raise invalid([*at, "url"], "BASE_TYPE_REQUIRED", "A link button has a url and no custom_id.")
        if len(url) > 512:
            raise too_long([*at, "url"], 512)
    elif style != PREMIUM_STYLE and (item.get("url") or not item.get("custom_id")):
        raise invalid([*at, "custom_id"], "BASE_TYPE_REQUIRED", "A button has a custom_id and no url.")
    if style != PREMIUM_STYLE and not item.get("label") and not item.get("emoji"):
        raise invalid([*at, "label"], "BUTTON_COMPONENT_INVALID", "A button has a label or an emoji.")


def _check_menu(item: Mapping[str, Any]) -> None:
    at: Path = ["components", "menu"]
    most = item.get("max_values", 1)
    if not 0 <= item.get("min_values", 1) <= most <= 25:
        raise invalid([*at, "max_values"], "BASE_TYPE_MAX", "Between min_values and 25.")
    _check_length([*at, "placeholder"], item.get("placeholder"), 0, 150)
    if item["type"] != STRING_MENU:
        if len(item.get("default_values") or ()) > most:
            raise invalid([*at, "default_values"], "SELECT_DEFAULT_VALUES", "More than may be chosen.")
        return
    options = item.get("options") or []
    if not 1 <= len(options) <= 25 or most > len(options):
        raise invalid([*at, "options"], "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 25 in length.")
    if len({option.get("value") for option in options}) != len(options):
        raise invalid([*at, "options"], "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", "The specified value is used.")
    for option in options:
        _check_length([*at, "options", "label"], option.get("label"), 1, 100)
        _check_length([*at, "options", "description"], option.get("description"), 0, 100)


def _check_allowed_mentions(allowed: Json | None) -> None:
    for kind in ("users", "roles"):
        if allowed and allowed.get(kind) and kind in (allowed.get("parse") or ()):
            raise invalid(
                ["allowed_mentions"], "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", f"parse:{kind} excludes {kind}."
            )


def empty_message() -> ApiError:
    """Return the refusal of a message with nothing in it."""
    return refuse(50006)
