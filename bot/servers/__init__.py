"""What owners and server managers decide: limits, a server's own settings, and what was used."""
