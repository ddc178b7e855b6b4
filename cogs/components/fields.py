"""What was typed into a form."""

from __future__ import annotations

from typing import Any, cast

import discord


def fields_of(interaction: discord.Interaction[Any]) -> dict[str, object]:
    """Return the values of a form's fields by their names, whatever was sent in their place."""
    components = cast("dict[str, Any]", interaction.data or {}).get("components")
    found: dict[str, object] = {}
    for item in components if isinstance(components, list) else ():
        field = item.get("component") if isinstance(item, dict) else None
        if isinstance(field, dict):
            found[str(field.get("custom_id"))] = field.get("value")
    return found


def texts_of(interaction: discord.Interaction[Any]) -> dict[str, str]:
    """Return those that are text."""
    return {name: value for name, value in fields_of(interaction).items() if isinstance(value, str)}
