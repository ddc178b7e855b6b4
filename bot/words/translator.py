"""Descriptions of commands in the languages of the catalogues, for discord.py to send to Discord."""

from __future__ import annotations

from discord import Locale, app_commands
from discord.app_commands import TranslationContextLocation as Location
from discord.app_commands import TranslationContextTypes as Context

from bot.words.text import translate

_DESCRIPTIONS = {Location.command_description, Location.group_description, Location.parameter_description}


class Translator(app_commands.Translator):
    """Puts descriptions into the languages of the catalogues; names are the same in every language."""

    async def translate(self, string: app_commands.locale_str, locale: Locale, context: Context) -> str | None:
        """Return a description in a language, or None where it stays in English."""
        if context.location not in _DESCRIPTIONS:
            return None
        translated = translate(string.message, locale.value)
        return None if translated == string.message else translated
