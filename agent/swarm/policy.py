"""`SwarmPolicy`: the numbers that tune a swarm. The simulator decides between them; these are its starting values
(a quick fluid model: two up and two down are within 1.12 of the bound at 1,000 nodes, 8 and 16 are at 1.5)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SwarmPolicy:
    """uploads, downloads: transfers at a time, per node and swarm. ahead: offers (or acceptances) beyond these, so that
    a finished transfer is followed at once by the next instead of a round trip. late_seconds: a chunk under way for
    longer than this may come from a second peer when nothing else is left to ask for (`late_chunks` at most).
    renew_seconds: where nothing moves for so long, neighbours are told everything anew."""

    uploads: int = 2
    downloads: int = 2
    ahead: int = 1
    batch_seconds: float = 0.02
    offer_seconds: float = 2.0
    late_seconds: float = 1.0
    late_chunks: int = 4
    urgent_chunks: int = 2
    renew_seconds: float = 5.0
