"""What servers have set and used, and what their managers and the owner are told."""
