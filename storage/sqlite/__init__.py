"""What is SQLite alone: opening the file, its connections, and waiting for the disk."""
