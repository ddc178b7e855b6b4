"""The program with leases of some seconds, so that nobody waits long for a death to be noticed."""

from __future__ import annotations

from bot.__main__ import main
from bot.gateway import shards
from storage.processes import blocks, leases, process

LEASE_SECONDS = 10.0

leases.LEASE_SECONDS = LEASE_SECONDS
process.RENEW_SECONDS = 1.0
process.RETRY_SECONDS = 0.2
process.MARGIN_SECONDS = 2.0

blocks.BLOCK_SECONDS = 6.0
shards.RENEW_SECONDS = 1.0
shards.RETRY_SECONDS = 0.2
shards.MARGIN_SECONDS = 1.5

if __name__ == "__main__":
    raise SystemExit(main())
