"""The documented rules of a submission: which fields each model takes and how long they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from sandbox.vidgo.records import Json

SONG_MODELS = frozenset({"generate-music", "extend-music", "upload-and-cover-audio"})

# Credits per task. VidGo publishes none; these are what PoYo charged in May 2026.
PRICES = {
    "generate-music": 20,
    "extend-music": 20,
    "upload-and-cover-audio": 20,
    "generate-music-cover": 1,
    "generate-lyrics": 1,
    "convert-to-wav": 1,
}

# Models whose schema marks `callback_url` as required.
CALLBACK_REQUIRED = frozenset({"generate-music-cover", "generate-lyrics", "convert-to-wav"})

ERROR_TYPES = {
    400: "validation_error",
    401: "authentication_error",
    402: "insufficient_credits_error",
    403: "permission_denied_error",
    404: "resource_not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    429: "rate_limit_error",
    500: "internal_error",
    502: "upstream_error",
    503: "service_error",
}


class Limits(NamedTuple):
    """The most characters of each text for one model version."""

    prompt: int
    style: int
    title: int


VERSIONS = {
    "V4": Limits(3000, 200, 80),
    "V4_5": Limits(5000, 1000, 100),
    "V4_5PLUS": Limits(5000, 1000, 100),
    "V4_5ALL": Limits(5000, 1000, 80),
    "V5": Limits(5000, 1000, 100),
}
_GENERATE_TITLE = 80  # the page of generate-music allows no more for any version
_SIMPLE_PROMPT = 500
_LYRICS_WORDS = 200
_URL_LENGTH = 2048

_TUNING = {
    "negative_tags": "string",
    "vocal_gender": "gender",
    "style_weight": "weight",
    "weirdness_constraint": "weight",
    "audio_weight": "weight",
    "persona_id": "string",
}
_TEXTS = {"prompt": "string", "style": "string", "title": "string"}

# Required fields and optional fields of each model's `input`; anything else is refused.
FIELDS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "generate-music": (
        {"custom_mode": "bool", "instrumental": "bool", "mv": "version"},
        {**_TEXTS, **_TUNING},
    ),
    "extend-music": (
        {"default_param_flag": "bool", "audio_id": "string", "mv": "version"},
        {**_TEXTS, "continue_at": "number", **_TUNING},
    ),
    "upload-and-cover-audio": (
        {"upload_url": "url", "custom_mode": "bool", "instrumental": "bool", "mv": "version"},
        {**_TEXTS, **_TUNING},
    ),
    "generate-music-cover": ({"task_id": "string"}, {}),
    "generate-lyrics": ({"prompt": "string"}, {}),
    "convert-to-wav": ({"task_id": "string", "audio_id": "string"}, {}),
}


class RefusedError(Exception):
    """A request that is answered with an error: HTTP `status`, `type`, a message, perhaps more fields."""

    def __init__(self, status: int, message: str, *, kind: str | None = None, extra: Json | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = error_body(status, message, kind)
        self.body.update(extra or {})


def error_body(status: int, message: str, kind: str | None = None) -> Json:
    """Return the documented body of an error."""
    return {"code": status, "error": {"message": message, "type": kind or ERROR_TYPES.get(status, "error")}}


def check_envelope(body: Any) -> tuple[str, Json, str | None]:
    """Return model, input and callback URL of a submission's body; raises `RefusedError`."""
    if not isinstance(body, dict):
        raise RefusedError(400, "the body must be a JSON object")
    unknown = sorted(body.keys() - {"model", "input", "callback_url"})
    if unknown:
        raise RefusedError(400, f"unknown field: {unknown[0]}")
    model, data, callback_url = body.get("model"), body.get("input"), body.get("callback_url")
    if not isinstance(model, str) or not model:
        raise RefusedError(400, "model is required")
    if model not in FIELDS:
        raise RefusedError(404, f"model {model} not found")
    if not isinstance(data, dict):
        raise RefusedError(400, "input is required and must be an object")
    if model in CALLBACK_REQUIRED and callback_url is None:
        raise RefusedError(400, "callback_url is required")
    if "callback_url" in body:
        _check_kind("callback_url", callback_url, "url")
    return model, data, callback_url


def check_input(model: str, data: Json, *, refuse_simple_instrumental: bool) -> None:
    """Judge the `input` of a submission by itself; raises `RefusedError`."""
    required, optional = FIELDS[model]
    fields = required | optional
    unknown = sorted(data.keys() - fields.keys())
    if unknown:
        raise RefusedError(400, f"unknown input field: {unknown[0]}")
    for name in required:
        if data.get(name) in (None, ""):
            raise RefusedError(400, f"input.{name} is required")
    for name, value in data.items():
        _check_kind(f"input.{name}", value, fields[name])
    if model in {"generate-music", "upload-and-cover-audio"}:
        _check_modes(data, refuse_simple_instrumental=refuse_simple_instrumental)
    if model == "extend-music" and data["default_param_flag"]:
        _require(data, ("prompt", "style", "title", "continue_at"), "default_param_flag is true")
    if model in SONG_MODELS:
        limits = VERSIONS[data["mv"]]
        if model == "generate-music":
            limits = limits._replace(title=_GENERATE_TITLE)
        for name, most in limits._asdict().items():
            _check_length(name, data.get(name, ""), most)
    if model == "generate-lyrics" and len(data["prompt"].split()) > _LYRICS_WORDS:
        raise RefusedError(400, f"prompt is limited to {_LYRICS_WORDS} words", kind="content_too_long_error")


def _check_modes(data: Json, *, refuse_simple_instrumental: bool) -> None:
    if data["custom_mode"]:
        _require(data, ("style", "title"), "custom_mode is true")
        if not data["instrumental"]:
            _require(data, ("prompt",), "the song has vocals")
        return
    _require(data, ("prompt",), "custom_mode is false")
    _check_length("prompt", data["prompt"], _SIMPLE_PROMPT)
    for name in ("style", "title", "vocal_gender", "persona_id"):
        if data.get(name):
            raise RefusedError(400, f"input.{name} is for custom mode only")
    if data["instrumental"] and refuse_simple_instrumental:
        raise RefusedError(400, "instrumental needs custom mode")


def _require(data: Json, names: tuple[str, ...], reason: str) -> None:
    for name in names:
        if data.get(name) in (None, ""):
            raise RefusedError(400, f"input.{name} is required because {reason}")


def _check_length(name: str, text: str, most: int) -> None:
    if len(text) > most:
        message = f"{name} is limited to {most} characters, got {len(text)}"
        raise RefusedError(400, message, kind="content_too_long_error")


def _check_kind(name: str, value: Any, kind: str) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "bool":
        good = isinstance(value, bool)
    elif kind == "number":
        good = number and value >= 0
    elif kind == "weight":
        good = number and 0 <= value <= 1 and round(value, 2) == value
    elif kind == "version":
        good = isinstance(value, str) and value in VERSIONS
    elif kind == "gender":
        good = value in {"m", "f"} if isinstance(value, str) else False
    elif kind == "url":
        good = isinstance(value, str) and len(value) <= _URL_LENGTH and _is_web_url(value)
    else:
        good = isinstance(value, str)
    if not good:
        raise RefusedError(400, f"{name} is not a valid {kind}")


def _is_web_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False
