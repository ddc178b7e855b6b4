"""What owners and server managers decide and are told: limits, settings, usage, alarms, greetings."""
