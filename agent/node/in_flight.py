"""`InFlight`: how many bytes of chunks are in memory at a time, over all downloads of a node; a hard bound.

Half is for chunks from neighbours: an offer for which there is no room is declined as "busy", and told of again when
there is (the hub does that). Half is for reads of the registry, which wait in line. Neither waits for the other, and
what is taken goes back by itself in the end (every transfer and read has a deadline), so nothing can lock up. The first
taker always has room, whatever its size.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio


class Budget:
    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.on_room: Callable[[], None] = lambda: None
        self._waiting = 0
        self._line = trio.Lock()  # first come, first served
        self._changed = trio.Event()

    def has_room(self, count: int) -> bool:
        return self.used_bytes == 0 or self.used_bytes + count <= self.limit_bytes

    @property
    def is_contested(self) -> bool:
        """Somebody waits in line."""
        return self._waiting > 0

    def take(self, count: int) -> None:
        """Whoever takes has looked whether there is room."""
        self.used_bytes += count

    def give_back(self, count: int) -> None:
        self.used_bytes -= count
        self._changed.set()
        self._changed = trio.Event()
        self.on_room()

    @asynccontextmanager
    async def taking(self, count: int) -> AsyncIterator[None]:
        """Waits for its turn and for room."""
        self._waiting += 1
        try:
            async with self._line:
                while not self.has_room(count):
                    await self._changed.wait()
                self.take(count)
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self.give_back(count)


class InFlight:
    def __init__(self, limit_bytes: int) -> None:
        self.transfers = Budget(limit_bytes // 2)
        self.reads = Budget(limit_bytes - limit_bytes // 2)
