"""What the bot costs beside programs that do the least, in one run against the same stand-ins."""
