"""The owner's commands, each a file."""
