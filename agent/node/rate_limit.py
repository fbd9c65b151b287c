"""`RateLimit`: a node's bytes per second in one direction, shared by all its links and reads (a leaky bucket)."""

import trio

_BURST_SECONDS = 0.1
_TURN_SECONDS = 0.05
_LEAST_BYTES = 4096


class RateLimit:
    def __init__(self, bytes_per_second: float | None) -> None:
        """None: no limit."""
        self._seconds_per_byte = 1.0 / bytes_per_second if bytes_per_second else 0.0
        self._free_at = 0.0

    def reserve(self, count: int) -> float:
        """The time from which `count` more bytes may pass: they have been counted."""
        if not self._seconds_per_byte:
            return float("-inf")
        now = trio.current_time()
        self._free_at = max(self._free_at, now - _BURST_SECONDS) + count * self._seconds_per_byte
        return self._free_at

    async def take(self, count: int) -> None:
        """Wait until `count` more bytes may pass."""
        passes_at = self.reserve(count)
        if passes_at > trio.current_time():
            await trio.sleep_until(passes_at)

    def portion(self, most: int) -> int:
        """So many bytes at a time, `most` at most, that others who share the limit soon get their turn."""
        if not self._seconds_per_byte:
            return most
        return min(max(int(_TURN_SECONDS / self._seconds_per_byte), _LEAST_BYTES), most)
