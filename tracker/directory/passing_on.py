"""`PassingOn`: which chunks are still only with the node that read them from the registry. State and policy.

Whoever reads a chunk passes it on, and the next report of whoever got it shows that. One that stays where it was read
is with a node that is mute, that spoils what it sends, or that nobody reaches: the swarm waits for it in vain. It may
be read once more, by one node; and whoever keeps one gets no further lease while others wait for one.
"""

from tracker.directory.member import Member

_PATIENCE_SECONDS = 1.0
_PATIENCE_CHUNKS = 6.0  # a chunk is read, checked, sent, and then told of, each beside others


def patience_seconds(chunk_seconds: float, interval_seconds: float) -> float:
    """How long a chunk may take to be seen at a second node. interval_seconds: how often nodes call."""
    return _PATIENCE_SECONDS + _PATIENCE_CHUNKS * chunk_seconds + 2 * interval_seconds


class PassingOn:
    __slots__ = ("_bits", "_readers")

    def __init__(self) -> None:
        self._bits = 0
        self._readers: dict[int, tuple[Member, float]] = {}

    def on_read(self, member: Member, start: int, stop: int, now: float) -> None:
        """It has read these, and nobody else is known to have them from it."""
        for index in range(start, stop):
            self._readers[index] = (member, now)
            self._bits |= 1 << index

    def on_have(self, member: Member, have: int) -> None:
        """What it has and did not read has been passed on."""
        passed = have & self._bits
        while passed:
            bit = passed & -passed
            passed ^= bit
            index = bit.bit_length() - 1
            if self._readers[index][0] is not member:
                del self._readers[index]
                self._bits ^= bit

    def kept(self, before: float) -> int:
        """The chunks, as bits, that were read before this time and are still only with their readers."""
        bits = 0
        for index, (_, read_at) in self._readers.items():
            if read_at < before:
                bits |= 1 << index
        return bits

    def fresh(self, since: float) -> int:
        """Those that were read since then: they may be on their way yet."""
        return self._bits & ~self.kept(since)

    def keeps(self, member: Member, before: float) -> bool:
        """Whether this node keeps a chunk that it read before this time."""
        return any(reader is member and read_at < before for reader, read_at in self._readers.values())
