"""What exists in the stand-in: people, channels, commands and messages, their rules, and their JSON."""
