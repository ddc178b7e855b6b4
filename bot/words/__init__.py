"""Every sentence, card and button, in the member's language."""
