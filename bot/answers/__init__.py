"""Answers to interactions: the first one, what it turns into, and what only one member sees."""
