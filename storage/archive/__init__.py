"""Audio and artwork that are kept: an index in the database, files under their hashes."""
