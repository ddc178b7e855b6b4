"""Buttons, menus and forms; all that they need is in their custom ids."""
