"""Audio and artwork that are kept: an index in the database, files under their hashes on disk or in a store."""
