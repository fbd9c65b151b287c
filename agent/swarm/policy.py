"""`SwarmPolicy`: the numbers that tune a swarm. The simulator decided between them: docs/policies.md."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SwarmPolicy:
    """uploads, downloads: transfers at a time, per node and swarm (slots.py). ahead: offers (or acceptances) beyond
    these, so that a finished transfer is followed at once by the next instead of a round trip. late_seconds: a chunk
    under way for longer than this may come from a second peer when nothing else is left to ask for (`late_chunks` at
    most). renew_seconds: where nothing moves for so long, neighbours are told everything anew."""

    uploads: int = 2
    downloads: int = 2
    ahead: int = 0
    batch_seconds: float = 0.02
    offer_seconds: float = 2.0
    late_seconds: float = 1.0
    late_chunks: int = 4
    urgent_chunks: int = 2
    renew_seconds: float = 5.0
