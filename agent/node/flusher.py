"""`Flusher`: what a node's links have to say goes out together, once everything that happens now has been looked at.

News goes to all neighbours at once, often of several swarms: one task that writes to all their sockets is cheaper than
waking one a link, and each neighbour gets one packet. What does not fit into a socket is its link's own matter.
"""

from typing import Protocol

import trio


class Outbox(Protocol):
    def flush(self) -> None:
        """Give the socket what waits to be sent; must not block."""


class Flusher:
    def __init__(self) -> None:
        self._waiting: dict[Outbox, None] = {}
        self._wake = trio.Event()

    def add(self, outbox: Outbox) -> None:
        self._waiting[outbox] = None
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            waiting, self._waiting = self._waiting, {}
            for outbox in waiting:
                outbox.flush()
