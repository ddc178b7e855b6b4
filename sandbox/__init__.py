"""Local stand-ins of Discord and VidGo that speak the real protocols over real sockets."""
