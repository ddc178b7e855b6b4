"""Result files: where they come from, where they are kept."""
