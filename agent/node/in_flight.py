"""`InFlight`: how many bytes of chunks are in memory at a time, over all downloads of a node; a hard bound.

Half is for chunks from neighbours: an offer for which there is no room is declined as "busy", and told of again when
there is (the hub does that). Half is for reads of the registry, which wait in line: what somebody waits for comes
before what is fetched ahead, or a client would get its first layer when all are there. Neither half waits for the
other, and what is taken goes back by itself in the end (every transfer and read has a deadline), so nothing can lock
up. The first taker always has room, whatever its size.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

Rank = Callable[[], tuple[Any, ...]]


@dataclass(eq=False, slots=True)
class _Turn:
    count: int
    rank: Rank
    has_come: trio.Event = field(default_factory=trio.Event)


class Budget:
    def __init__(self, limit_bytes: int, places: int = 1_000_000) -> None:
        """`places`: how many may take at a time."""
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.on_room: Callable[[], None] = lambda: None
        self._free_places = places
        self._line: list[_Turn] = []

    def has_room(self, count: int) -> bool:
        return self.used_bytes == 0 or self.used_bytes + count <= self.limit_bytes

    @property
    def is_contested(self) -> bool:
        """Somebody waits in line."""
        return bool(self._line)

    def take(self, count: int) -> None:
        """Whoever takes has looked whether there is room."""
        self.used_bytes += count

    def give_back(self, count: int) -> None:
        self.used_bytes -= count
        self._let_in()
        self.on_room()

    @asynccontextmanager
    async def taking(self, count: int, rank: Rank = lambda: ()) -> AsyncIterator[None]:
        """Waits for its turn and for room. The lowest rank goes first, of equals who came first."""
        turn = _Turn(count, rank)
        self._line.append(turn)
        try:
            await (
                trio.lowlevel.checkpoint()
            )  # those who come together are all in line, in whatever order trio runs them
            self._let_in()
            await turn.has_come.wait()
            yield
        finally:
            if turn in self._line:
                self._line.remove(turn)
            else:
                self._free_places += 1
                self.give_back(count)

    def _let_in(self) -> None:
        while self._line and self._free_places:
            first = min(self._line, key=lambda turn: turn.rank())
            if not self.has_room(first.count):
                return
            self._line.remove(first)
            self._free_places -= 1
            self.take(first.count)
            first.has_come.set()


_READS = 8  # few, so that the first of many small layers is whole while the last have not begun


class InFlight:
    def __init__(self, limit_bytes: int) -> None:
        self.transfers = Budget(limit_bytes // 2)
        self.reads = Budget(limit_bytes - limit_bytes // 2, _READS)
