"""`Spread`: how often this node has sent each chunk, for sending each once before any twice.

Only the order counts, so levels that have become empty at the bottom are dropped, and the top one takes all that was
sent more often: a seed that serves for weeks stays as quick as on its first day.
"""

_LEVELS = 16


class Spread:
    def __init__(self, chunks: int) -> None:
        """chunks: all of the blob's chunks, as bits."""
        self._levels = [chunks]

    @property
    def levels(self) -> list[int]:
        """levels[k]: the chunks that were sent k times more than the least sent one, as bits."""
        return self._levels

    def count(self, index: int) -> None:
        """This chunk is sent once more."""
        bit = 1 << index
        for level, bits in enumerate(self._levels[: _LEVELS - 1]):
            if bits & bit:
                self._levels[level] ^= bit
                if level + 1 == len(self._levels):
                    self._levels.append(0)
                self._levels[level + 1] |= bit
                break
        while len(self._levels) > 1 and not self._levels[0]:
            del self._levels[0]
