"""Pages that are read, turned and pressed: help, settings, usage and the library."""
