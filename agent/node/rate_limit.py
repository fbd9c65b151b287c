"""`RateLimit`: a node's bytes per second in one direction, shared by all its links and reads (a leaky bucket)."""

import trio

_BURST_SECONDS = 0.1


class RateLimit:
    def __init__(self, bytes_per_second: float | None) -> None:
        """None: no limit."""
        self._seconds_per_byte = 1.0 / bytes_per_second if bytes_per_second else 0.0
        self._free_at = 0.0

    async def take(self, count: int) -> None:
        """Wait until `count` more bytes may pass."""
        if not self._seconds_per_byte:
            return
        now = trio.current_time()
        self._free_at = max(self._free_at, now - _BURST_SECONDS) + count * self._seconds_per_byte
        if self._free_at > now:
            await trio.sleep(self._free_at - now)
