"""What Discord gets: first answers, acknowledgements, posts."""
