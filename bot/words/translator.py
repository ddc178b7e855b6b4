"""Descriptions of commands and entries of menus in the languages, for discord.py to send to Discord."""

from __future__ import annotations

from discord import Locale, app_commands
from discord.app_commands import TranslationContextLocation as Location
from discord.app_commands import TranslationContextTypes as Context

from bot.words.text import translate

_DESCRIPTIONS = {Location.command_description, Location.group_description, Location.parameter_description}


class Translator(app_commands.Translator):
    """Puts descriptions and the entries of menus into the languages; what is typed is the same in every language."""

    async def translate(self, string: app_commands.locale_str, locale: Locale, context: Context) -> str | None:
        """Return a text in a language, or None where it stays in English."""
        is_menu = context.location is Location.command_name and isinstance(context.data, app_commands.ContextMenu)
        if not is_menu and context.location not in _DESCRIPTIONS:
            return None
        translated = translate(string.message, locale.value)
        return None if translated == string.message else translated
