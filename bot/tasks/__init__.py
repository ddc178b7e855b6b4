"""The life of a task at VidGo: submitted, read, ended."""
