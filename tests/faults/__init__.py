"""Breaks everything around the running program, and audits what is left."""
