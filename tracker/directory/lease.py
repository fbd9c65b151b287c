"""`LeaseRecord`: the right of one node to read a run of adjacent chunks from a registry.

NORMAL leases of one swarm never overlap. A RACE repeats what a stuck lease or an unreachable holder keeps from a
starving node; a CHECK settles a dispute about chunks that may be held already. Who gets what is decided in grants.py.
"""

from dataclasses import dataclass
from enum import Enum

from tracker.directory.member import Member
from tracker.directory.swarm import Swarm

PROGRESS_SECONDS = 5.0  # without progress for so long a lease goes to another node
STUCK_SECONDS = (
    1.0  # without progress for so long, beyond the interval at which it would be heard of, it may be raced
)


class LeaseKind(Enum):
    NORMAL = "normal"
    RACE = "race"
    CHECK = "check"


class LeaseEnd(Enum):
    COMPLETED = "completed"
    EXPIRED = "expired"
    GIVEN_UP = "given up"
    HOLDER_GONE = "holder gone"


@dataclass(slots=True, eq=False)
class LeaseRecord:
    """The chunks start, ..., stop - 1, those before `next` done. stop 0: all of a blob whose size nobody knows yet."""

    lease: int
    swarm: Swarm
    member: Member
    source: str
    kind: LeaseKind
    start: int
    stop: int
    next: int
    granted_at: float
    progressed_at: float
    progress_bytes: int = 0
    weight: float = 1.0  # in the registry's budget
    unlisted: int = 0  # reports in a row that did not mention it

    @property
    def size_bytes(self) -> int:
        chunks = self.swarm.chunks
        assert chunks is not None
        return max(min(self.stop * chunks.chunk_bytes, chunks.size) - self.start * chunks.chunk_bytes, 0)

    @property
    def deadline(self) -> float:
        return self.progressed_at + PROGRESS_SECONDS

    @property
    def bits(self) -> int:
        return run_bits(self.start, self.stop)

    @property
    def open_bits(self) -> int:
        """What is not done yet."""
        return run_bits(self.next, self.stop)

    def is_stuck(self, now: float) -> bool:
        return now - self.progressed_at > STUCK_SECONDS + self.member.record.interval_seconds


def run_bits(start: int, stop: int) -> int:
    return ((1 << max(stop - start, 0)) - 1) << start
