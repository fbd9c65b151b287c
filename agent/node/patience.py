"""`Patience`: how long a link waits for a neighbour's bytes. Policy.

A neighbour that owes chunk bytes must send some every STALL_SECONDS, and at least SLOWEST_BYTES in each SLOW_SECONDS:
one that drips holds a transfer, which another could fill, for ever. Where nothing is owed any frame will do, every
IDLE_SECONDS.
The time that we spend ourselves (our own download rate) does not count.
"""

STALL_SECONDS = 3.0
SLOW_SECONDS = 10.0
SLOWEST_BYTES = 32 * 1024
IDLE_SECONDS = 30.0


class Patience:
    def __init__(self, now: float) -> None:
        self._heard_at = now
        self._bytes_at = now
        self._window_at = now
        self._window_bytes = 0

    def on_owed(self, now: float) -> None:
        """The first chunk is owed from now on."""
        self._bytes_at = now
        self._begin_window(now)

    def on_heard(self, now: float) -> None:
        self._heard_at = now

    def on_bytes(self, count: int, now: float) -> None:
        """Bytes of a chunk that is owed."""
        self._bytes_at = now
        self._window_bytes += count
        if self._window_bytes >= SLOWEST_BYTES:
            self._begin_window(now)

    def on_own_delay(self, seconds: float) -> None:
        self._heard_at += seconds
        self._bytes_at += seconds
        self._window_at += seconds

    def ends_at(self, is_owed: bool) -> float:
        if not is_owed:
            return self._heard_at + IDLE_SECONDS
        return min(self._bytes_at + STALL_SECONDS, self._window_at + SLOW_SECONDS)

    def _begin_window(self, now: float) -> None:
        self._window_at = now
        self._window_bytes = 0
