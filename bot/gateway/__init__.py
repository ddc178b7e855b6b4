"""The connection to Discord: logging in, the commands, what arrives."""
