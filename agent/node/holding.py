"""`holding`: keep content from eviction while a push works with it. Taking and letting go are writes, so both hop."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import trio

from agent.content.digest import Digest
from agent.node.hop import Hop
from agent.store.store import Store


@asynccontextmanager
async def holding(store: Store, hop: Hop, digests: Iterable[Digest]) -> AsyncIterator[None]:
    """Raises DiskError on entering."""
    held = store.holding(digests)
    await hop(held.__enter__)
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            await hop(held.__exit__, None, None, None)
