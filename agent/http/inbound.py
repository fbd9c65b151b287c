"""`Inbound`: the receiving half of a server connection, a task that feeds h11 with whatever the client sends.

It reads while a handler runs, too: that is how a hang-up is noticed (`on_hang_up`), and what a keep-alive client
sends early waits in h11 for its turn. Invariant: h11 holds at most READ_AHEAD_BYTES (and one read) more than it was
asked for; past that the client has to wait.
"""

from collections.abc import Callable

import h11
import trio

READ_AHEAD_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024

ReceivedEvent = h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]


class Inbound:
    def __init__(self, stream: trio.abc.ReceiveStream, protocol: h11.Connection) -> None:
        self._stream = stream
        self._protocol = protocol
        self._ahead_bytes = 0
        self._arrived = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        self.closed = False
        self.on_hang_up: Callable[[], object] | None = None

    async def run(self) -> None:
        """Until the client closes its side; then `closed` is True and `on_hang_up` has been called."""
        while data := await self._receive():
            self._protocol.receive_data(data)
            self._ahead_bytes += len(data)
            self._arrived.unpark_all()
            while self._ahead_bytes >= READ_AHEAD_BYTES:
                await self._room.park()
        self._protocol.receive_data(b"")
        self.closed = True
        self._arrived.unpark_all()
        if self.on_hang_up is not None:
            self.on_hang_up()

    async def _receive(self) -> bytes:
        try:
            return bytes(await self._stream.receive_some(_READ_BYTES))
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            return b""

    def next_event_nowait(self) -> ReceivedEvent:
        """Raises h11.RemoteProtocolError."""
        return self._protocol.next_event()

    async def wait_data(self) -> None:
        """After NEED_DATA: until something has arrived, or the end. Always a checkpoint."""
        self._ahead_bytes = 0
        self._room.unpark_all()
        await self._arrived.park()

    async def next_event(self) -> ReceivedEvent:
        """Never NEED_DATA. Raises h11.RemoteProtocolError."""
        while True:
            event = self._protocol.next_event()
            if event is not h11.NEED_DATA:
                return event
            await self.wait_data()

    async def discard_until_closed(self, limit_bytes: int) -> None:
        """Swallows what the client still sends, so that closing does not reset what it has yet to read."""
        discarded = 0
        while not self.closed and discarded < limit_bytes:
            self._ahead_bytes = 0
            self._room.unpark_all()
            await self._arrived.park()
            discarded += self._ahead_bytes
