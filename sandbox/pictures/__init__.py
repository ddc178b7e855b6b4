"""What people see, photographed in a browser while the real bot works: the pictures of the README and the gallery."""
