"""When a node calls again. Policy.

While a node lacks something it calls often, as often as one core bears from all such nodes together; at rest seldom.
Spread by chance, so that nodes that started together do not call together.
"""

import random

_BUSY_CALLS_PER_SECOND = 800.0
_REST_CALLS_PER_SECOND = 300.0
_SHORTEST_SECONDS = 0.1
_LONGEST_BUSY_SECONDS = 5.0
_EAGER_SECONDS = 0.05
_HOLDER_SECONDS = 1.0
_SHORTEST_REST_SECONDS = 10.0
_LONGEST_REST_SECONDS = 60.0
_SPREAD = 0.2


def busy_seconds(busy_nodes: int) -> float:
    """Between the calls of a node that lacks something, where `busy_nodes` do."""
    return min(max(busy_nodes / _BUSY_CALLS_PER_SECOND, _SHORTEST_SECONDS), _LONGEST_BUSY_SECONDS)


def rest_seconds(nodes: int) -> float:
    return min(max(nodes / _REST_CALLS_PER_SECOND, _SHORTEST_REST_SECONDS), _LONGEST_REST_SECONDS)


def eager_seconds(busy_nodes: int) -> float:
    """For one that waits for small content, or for a first word of a blob's size."""
    usual = busy_seconds(busy_nodes)
    return _EAGER_SECONDS if usual <= _SHORTEST_SECONDS else usual


def holder_seconds(busy_nodes: int) -> float:
    """For one that holds a lease: there are few, and their progress is due every few seconds."""
    return min(busy_seconds(busy_nodes), _HOLDER_SECONDS)


def spread(seconds: float, rng: random.Random) -> float:
    return seconds * (1 - _SPREAD + 2 * _SPREAD * rng.random())
