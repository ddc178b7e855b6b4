"""Judge request bodies by Discord's own OpenAPI description."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jsonschema_rs import Draft202012Validator, Registry, ValidationError, ValidationErrorKind

from sandbox.discord.state.content import walk_components

Json = dict[str, Any]

DOCUMENT = "urn:discord:openapi"
JSON_MEDIA = "application/json"
PROJECT_ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Violation:
    """A request body that breaks Discord's description or one of its rules between fields."""

    method: str
    path: str
    reason: str
    body: Any


def find_description(choice: str | Path | None) -> Path | None:
    """Return the file of Discord's description, None when there is none to judge by.

    "auto" takes the environment's DISCORD_OPENAPI, then `../shared/discord/openapi.json` beside the project.
    """
    if choice is None:
        return None
    if choice != "auto":
        return Path(choice)
    named = os.environ.get("DISCORD_OPENAPI")
    path = Path(named) if named else PROJECT_ROOT.parent / "shared" / "discord" / "openapi.json"
    return path if path.is_file() else None


class Judge:
    """Validate JSON bodies against the description; validators are made when first needed and kept."""

    def __init__(self, description: Path) -> None:
        document: Json = json.loads(description.read_text("utf-8"))
        self._paths: Json = document["paths"]
        self._registry = Registry([(DOCUMENT, document)])
        self._validators: dict[tuple[str, ...], Draft202012Validator | None] = {}

    def request_error(self, method: str, template: str, body: Any) -> str | None:
        """Return what is wrong with a request body, None when it fits or the description knows no such body.

        `template` is the path as routes spell it, e.g. `/channels/{channel_id}/messages`.
        """
        pointer = ("requestBody", "content", JSON_MEDIA, "schema")
        return self._error(method, template, pointer, normalise(body))

    def answer_error(self, method: str, template: str, status: int, body: Any) -> str | None:
        """Return what is wrong with an answer of the stand-in itself, None when it fits."""
        pointer = ("responses", str(status), "content", JSON_MEDIA, "schema")
        return self._error(method, template, pointer, body)

    def _error(self, method: str, template: str, pointer: tuple[str, ...], body: Any) -> str | None:
        validator = self._validator((template, method.lower(), *pointer))
        if validator is None:
            return None
        error = next(validator.iter_errors(body), None)
        if error is None:
            return None
        cause = _cause(error)
        return f"{_json_path(cause)}: {cause.message[-300:]}"

    def _validator(self, pointer: tuple[str, ...]) -> Draft202012Validator | None:
        if pointer not in self._validators:
            node: Any = self._paths
            for key in pointer:
                node = node.get(key) if isinstance(node, dict) else None
            if node is None:
                self._validators[pointer] = None
            else:
                escaped = "/".join(key.replace("~", "~0").replace("/", "~1") for key in ("paths", *pointer))
                self._validators[pointer] = Draft202012Validator(
                    {"$ref": f"{DOCUMENT}#/{quote(escaped)}"}, registry=self._registry
                )
        return self._validators[pointer]


@cache
def judge_by(description: Path) -> Judge:
    """Return who judges by a description, which is read once."""
    return Judge(description)


def normalise(body: Any) -> Any:
    """Return a body with the ids that discord.py sends as numbers, and Discord takes, written as text."""
    if not isinstance(body, dict):
        return body
    body = copy.deepcopy(body)
    messages = [body, body.get("data") or {}]
    for message in messages:
        if not isinstance(message, dict):
            continue
        for entry in message.get("attachments") or ():
            _to_text(entry, "id")
        for component in walk_components(message.get("components") or ()):
            for entry in component.get("default_values") or ():
                _to_text(entry, "id")
        _to_text(message.get("message_reference"), "message_id", "channel_id", "guild_id")
        _to_text(message, "recipient_id")
        allowed = message.get("allowed_mentions")
        if isinstance(allowed, dict):
            for kind in ("users", "roles"):
                if isinstance(allowed.get(kind), list):
                    allowed[kind] = [str(item) if isinstance(item, int) else item for item in allowed[kind]]
    return body


def _cause(error: ValidationError) -> ValidationError:
    """Return the innermost error of the alternative that was meant: the one whose `type` fits."""
    while isinstance(error.kind, ValidationErrorKind.AnyOf | ValidationErrorKind.OneOfNotValid):
        depth = len(error.instance_path)
        meant = [
            errors
            for errors in error.kind.context
            if not any(item.instance_path[depth:][-1:] == ["type"] for item in errors)
            and not any(
                isinstance(item.kind, ValidationErrorKind.Type) and not item.instance_path[depth:] for item in errors
            )
        ]
        if len(meant) != 1:
            break
        error = meant[0][0]
    return error


def _json_path(error: ValidationError) -> str:
    """Return where in the body an error is."""
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in error.instance_path)


def _to_text(holder: Any, *keys: str) -> None:
    if isinstance(holder, dict):
        for key in keys:
            if isinstance(holder.get(key), int) and not isinstance(holder[key], bool):
                holder[key] = str(holder[key])
