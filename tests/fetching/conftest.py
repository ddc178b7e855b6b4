"""Each kind of place for the archive."""

from __future__ import annotations

from tests.stores.places import bucket, moto, place

__all__ = ["bucket", "moto", "place"]
