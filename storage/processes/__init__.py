"""Several processes on one PostgreSQL: who lives, and who may do what."""
