"""The HTTP listener: callbacks, files, health, metrics."""
