"""All that is kept of one member, through all tables."""
