"""Result files: what they are, where they come from, what is made of them."""
