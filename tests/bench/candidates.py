"""`Candidate`: a policy that a swarm could have instead of the one it has.

Most are numbers of a scenario. Others take the place of what a module of the swarm or the tracker has by name, in the
process that simulates, and for one rollout (`in_place`): what was not chosen lives here alone.
"""

import importlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from agent.swarm.peer_record import PeerRecord
from agent.swarm.policy import SwarmPolicy
from tracker.simulation.scenario import Scenario

_KIB = 1024
_UPLOADS, _BUDGET = "agent.swarm.uploads", "tracker.directory.budget"


@dataclass(frozen=True, slots=True)
class Part:
    """Whatever a module calls by this name."""

    module: str
    name: str
    value: object


@dataclass(frozen=True, slots=True)
class Candidate:
    """None: as the scenario has it."""

    name: str
    policy: SwarmPolicy | None = None
    neighbours: int | None = None
    chunks: int | None = None
    parts: tuple[Part, ...] = ()

    def applied(self, scenario: Scenario) -> Scenario:
        return replace(
            scenario,
            policy=self.policy or scenario.policy,
            neighbours=self.neighbours or scenario.neighbours,
            chunks=self.chunks or scenario.chunks,
        )

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Not for two candidates at once in one process."""
        usual = [Part(part.module, part.name, _found(part)) for part in self.parts]
        try:
            for part in self.parts:
                setattr(importlib.import_module(part.module), part.name, part.value)
            yield
        finally:
            for part in usual:
                setattr(importlib.import_module(part.module), part.name, part.value)


def _found(part: Part) -> object:
    return getattr(importlib.import_module(part.module), part.name)


# ---- orders that were not chosen


def _with_most_room(
    peers: Iterable[PeerRecord], have: int, rng: random.Random, now: float
) -> tuple[PeerRecord, int] | None:
    """As choosing.choose_receiver, but for what comes first: room, then who has least."""
    best: tuple[tuple[int, int, int, float], PeerRecord, int] | None = None
    for peer in peers:
        room, bits = peer.free - len(peer.offered), peer.want & have & ~peer.under_way
        if room > 0 and bits and now >= peer.quiet_until:
            rank = (-room, peer.have.bit_count(), peer.chunks_sent, rng.random())
            if best is None or rank < best[0]:
                best = rank, peer, bits
    return None if best is None else best[1:]


def _whom_chance_names(
    peers: Iterable[PeerRecord], have: int, rng: random.Random, now: float
) -> tuple[PeerRecord, int] | None:
    choices = [
        (peer, bits)
        for peer in peers
        if peer.free > len(peer.offered)
        and (bits := peer.want & have & ~peer.under_way)
        and now >= peer.quiet_until
    ]
    return rng.choice(choices) if choices else None


def _what_chance_names(
    bits: int,
    urgent: int,
    offered: int,
    sent_levels: Sequence[int],
    peers: Iterable[PeerRecord],
    rng: random.Random,
) -> int:
    """As choosing.choose_chunk, but any of them instead of the rarest."""
    candidates = bits & urgent or bits
    candidates = candidates & ~offered or candidates
    return rng.choice([index for index in range(candidates.bit_length()) if candidates >> index & 1])


# ---- what is compared


def _slots(up: int, down: int) -> Candidate:
    return Candidate(f"slots {up}/{down}", policy=SwarmPolicy(uploads=up, downloads=down))


def _neighbours(count: int) -> Candidate:
    return Candidate(f"{count} neighbours", neighbours=count)


def _ahead(count: int) -> Candidate:
    return Candidate(f"{count} ahead", policy=SwarmPolicy(ahead=count))


def _leases(blob: float, registry: float) -> Candidate:
    parts = (
        Part(_BUDGET, "BLOB_START", blob),
        Part(_BUDGET, "_BLOB_LEAST", min(blob, 2.0)),
        Part(_BUDGET, "_REGISTRY_LEAST", registry),
        Part(_BUDGET, "REGISTRY_START", max(registry, 16.0)),
    )
    return Candidate(f"leases: {blob:g} a blob at first, {registry:g} a registry at least", parts=parts)


def _chunks_of(size: int) -> Candidate:
    cut = Part("agent.content.chunk_map", "chunk_bytes_for", _Always(size))
    return Candidate(f"chunks of {size // _KIB} KiB", parts=(cut,))


def _inline(most_bytes: int) -> Candidate:
    parts = tuple(
        Part(module, "MAX_INLINE_BYTES", most_bytes)
        for module in ("tracker.simulation.blob", "tracker.directory.directory")
    )
    return Candidate(f"contents up to {most_bytes // _KIB} KiB inside answers", parts=parts)


@dataclass(frozen=True, slots=True)
class _Always:
    """Every blob is cut into chunks of this size."""

    chunk_bytes: int

    def __call__(self, size: int) -> int:
        return self.chunk_bytes


AS_IT_IS = Candidate("**as it is**")
_Receiver = Callable[[Iterable[PeerRecord], int, random.Random, float], tuple[PeerRecord, int] | None]


def _receiver(name: str, choose: _Receiver) -> Candidate:
    return Candidate(name, parts=(Part(_UPLOADS, "choose_receiver", choose),))


MAIN = (
    AS_IT_IS,
    _slots(1, 1),
    _slots(3, 3),
    _neighbours(6),
    _neighbours(12),
    _receiver("served first: most room", _with_most_room),
    _receiver("served first: chance", _whom_chance_names),
    Candidate("sent: chance", parts=(Part(_UPLOADS, "choose_chunk", _what_chance_names),)),
)
PIPELINING = (AS_IT_IS, _ahead(1), _ahead(2))
LAYERS = (
    AS_IT_IS,
    _slots(1, 1),
    _slots(3, 3),
    _neighbours(12),
    _leases(1, 8),
    _leases(4, 8),
    _leases(2, 2),
    _leases(2, 32),
    _chunks_of(1024 * _KIB),
    _chunks_of(2048 * _KIB),
    _chunks_of(4096 * _KIB),
)
TINY = (
    AS_IT_IS,
    _inline(128 * _KIB),
    _slots(1, 1),
    _slots(3, 3),
    _neighbours(4),
    _neighbours(12),
    _leases(1, 8),
    _leases(4, 32),
)
