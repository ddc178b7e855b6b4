"""What is PostgreSQL alone: the pool, opening and migrating, and wake-ups between processes."""
