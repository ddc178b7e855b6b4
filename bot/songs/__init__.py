"""What members can do: find, import, make, cover, extend, keep and forget songs."""
