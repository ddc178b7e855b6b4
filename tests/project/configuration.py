"""docs/configuration.md, made of what stands under each setting in bot/settings.py: `make docs` writes it."""

from __future__ import annotations

import ast
import inspect
import sys

from bot.settings import Settings
from tests.project.pages import DOCS

PAGE = DOCS / "configuration.md"

GROUPS = {
    "Required": ("discord_token", "vidgo_api_key"),
    "Discord": ("discord_guild_id", "discord_api_url", "support_url"),
    "VidGo": (
        "vidgo_api_url",
        "vidgo_music_version",
        "vidgo_requests_per_second",
        "vidgo_webhook_secret",
        "public_url",
    ),
    "Limits": ("daily_covers_per_user", "daily_songs_per_user", "daily_orders_per_server"),
    "The owner": ("credits_warning", "owner_ids"),
    "This machine": ("listen_host", "listen_port", "log_level", "log_format"),
    "The database": ("database_url", "database_listen_url", "database_pooled", "process_name"),
    "Shards": ("shard_count", "shard_ids", "shards_per_process"),
    "The archive": (
        "archive_dir",
        "archive_max_bytes",
        "archive_url",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "aws_region",
        "aws_endpoint_url",
    ),
    "Patience": ("poll_min_seconds", "poll_max_seconds", "task_timeout_seconds", "task_give_up_seconds"),
    "Result files": ("media_max_bytes", "media_allow_private_hosts"),
}
"""Every setting once, in the order of the page."""

_HEAD = """\
<!-- Made by `make docs` from bot/settings.py; change it there. -->

# Configuration

Settings are environment variables; what is not there is read from `.env` in the working directory, in whatever
encoding an editor has saved it. [.env.example](../.env.example) has all of them with comments. A wrong setting ends
the program with exit code 2 and one line that names it; `coverbot check` lists all that are wrong, and names that are
nearly right. Sizes may be written `5GB`, `512MB` or `512MiB`. A change counts after a restart.
"""


def default_of(name: str) -> str | None:
    """Return a setting's default as an owner would write it, "" where there is none, None where one is required."""
    field = Settings.model_fields[name]
    if field.is_required():
        return None
    value = field.default
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def meanings() -> dict[str, str]:
    """Return what stands under each setting, as one line."""
    [made] = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(made, ast.ClassDef)
    found = {}
    for field, after in zip(made.body, made.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = after.value if isinstance(after, ast.Expr) else None
            assert isinstance(text, ast.Constant), f"nothing stands under {field.target.id}"
            found[field.target.id] = " ".join(str(text.value).split())
    return found


def page() -> str:
    """Make the page."""
    told = meanings()
    parts = [_HEAD]
    for group, names in GROUPS.items():
        parts.append(f"\n## {group}\n\n| Setting | Default | Meaning |\n| --- | --- | --- |\n")
        for name in names:
            default = default_of(name)
            shown = "required" if default is None else f"`{default}`" if default else "not set"
            parts.append(f"| `{name.upper()}` | {shown} | {told[name]} |\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    sys.stdout.write(f"{PAGE.relative_to(DOCS.parent)} is written\n")
