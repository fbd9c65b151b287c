"""`random_deaths`: which nodes are killed in a rollout, when, and when each is back. PURE.

The simulator and the cluster of real agents kill by the same rule: a share of the nodes, at least one of them, each at
a moment of its own from near the start of the rollout to near its end, whoever else is away at that moment.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass

_FIRST, _SPREAD = 0.1, 0.8  # of the rollout


@dataclass(frozen=True, slots=True)
class Death:
    """Of the node with this number, in seconds from the start of the rollout; back: None for never."""

    node: int
    at_seconds: float
    back_seconds: float | None


def random_deaths(
    nodes: int, share: float, rollout_seconds: float, away_seconds: float, rng: random.Random
) -> list[Death]:
    """In the order in which they happen. away_seconds: 0 for ever."""
    victims = rng.sample(range(nodes), victim_count(nodes, share))
    return sorted(deaths_of(victims, rollout_seconds, away_seconds, rng), key=lambda death: death.at_seconds)


def victim_count(nodes: int, share: float) -> int:
    return max(round(share * nodes), 1) if share else 0


def deaths_of(
    victims: Iterable[int], rollout_seconds: float, away_seconds: float, rng: random.Random
) -> list[Death]:
    moments = [(victim, rollout_seconds * (_FIRST + _SPREAD * rng.random())) for victim in victims]
    return [Death(victim, at, at + away_seconds if away_seconds else None) for victim, at in moments]
