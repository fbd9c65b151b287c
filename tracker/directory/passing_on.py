"""`PassingOn`: which chunks are still only with the node that read them from the registry. State and policy.

Whoever reads chunks passes them on, one after the other, and the next report of whoever got one shows that. A node of
which for some time nobody has got anything is mute, spoils what it sends, or is out of reach, and the swarm waits for
its chunks in vain. They may be read once more, by one node; and it gets no further lease while others wait for one.
"""

from dataclasses import dataclass, field

from tracker.directory.member import Member

_PATIENCE_SECONDS = 1.0
_PATIENCE_CHUNKS = 6.0  # a chunk is read, checked, sent, and then told of, each beside others


def patience_seconds(chunk_seconds: float, interval_seconds: float) -> float:
    """How long it may take until a chunk is seen at a second node. interval_seconds: how often nodes call."""
    return _PATIENCE_SECONDS + _PATIENCE_CHUNKS * chunk_seconds + 2 * interval_seconds


@dataclass(slots=True)
class _Reader:
    """unseen: chunks that nobody else has, and when it read each. passed_at: when it was last seen to pass one on."""

    unseen: dict[int, float] = field(default_factory=dict)
    passed_at: float = float("-inf")
    has_passed: bool = False

    def look(self, now: float) -> None:
        if self.has_passed:
            self.passed_at, self.has_passed = now, False

    def keeps(self, index: int, before: float) -> bool:
        return max(self.unseen[index], self.passed_at) < before


class PassingOn:
    __slots__ = ("_bits", "_reader_of", "_readers")

    def __init__(self) -> None:
        self._bits = 0
        self._reader_of: dict[int, Member] = {}
        self._readers: dict[Member, _Reader] = {}

    def on_read(self, member: Member, start: int, stop: int, now: float) -> None:
        """It has read these, and nobody else is known to have them from it."""
        for index in range(start, stop):
            self._forget(index)
            self._reader_of[index] = member
            self._readers.setdefault(member, _Reader()).unseen[index] = now
            self._bits |= 1 << index

    def on_have(self, member: Member, have: int) -> None:
        """What it has and did not read has been passed on."""
        passed = have & self._bits
        while passed:
            index = (passed & -passed).bit_length() - 1
            passed &= passed - 1
            reader = self._reader_of[index]
            if reader is not member:
                self._readers[reader].has_passed = True
                self._forget(index)

    def kept(self, now: float, patience: float) -> int:
        """The chunks, as bits, that are only with readers who have passed on nothing for `patience` seconds."""
        bits = 0
        for reader in self._readers.values():
            reader.look(now)
            for index in reader.unseen:
                if reader.keeps(index, now - patience):
                    bits |= 1 << index
        return bits

    def fresh(self, now: float, patience: float) -> int:
        """The others that are only with their readers: they are on their way."""
        return self._bits & ~self.kept(now, patience)

    def keeps(self, member: Member, now: float, patience: float) -> bool:
        """Whether this node keeps a chunk that it has read."""
        reader = self._readers.get(member)
        if reader is None:
            return False
        reader.look(now)
        return any(reader.keeps(index, now - patience) for index in reader.unseen)

    def on_leave(self, member: Member) -> None:
        reader = self._readers.pop(member, None)
        for index in reader.unseen if reader else ():
            del self._reader_of[index]
            self._bits &= ~(1 << index)

    def _forget(self, index: int) -> None:
        reader = self._reader_of.pop(index, None)
        if reader is not None:
            del self._readers[reader].unseen[index]
            self._bits &= ~(1 << index)
