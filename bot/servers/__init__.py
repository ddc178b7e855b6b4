"""What owners of the bot and of servers are told."""
