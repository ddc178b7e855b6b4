"""What is SQLite alone: the connection, and the journal beside the file."""
