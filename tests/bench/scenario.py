"""`Scenario`: what one run of the shaped cluster does, as data; which of them the default run and the whole matrix are.

Rates are what the links are shaped to, in bits of the wire; what they carry of payload is measured in every run.
"""

from dataclasses import dataclass
from typing import Literal

from tests.bench.link_rates import LinkRates

Pattern = Literal["at once", "rolling", "update"]
ROLLING_SHARE = 0.2  # of the nodes at a time; the next ones start when these are done

MB = 1_000_000
_MBIT = 1_000_000 / 8
_NODE_MBIT = 50
NODES, LAYERS, SIZES = (2, 8, 16, 32), (1, 4), (10 * MB, 100 * MB, 300 * MB)
PATTERNS: tuple[Pattern, ...] = ("at once", "rolling", "update")


@dataclass(frozen=True, slots=True)
class Scenario:
    """`update`: version 1 is everywhere, version 2 shares all layers with it but the last. `with_straight`: also
    without Shoal, and through a pull-through cache."""

    nodes: int
    image_bytes: int
    layers: int
    pattern: Pattern = "at once"
    node_mbit: float = _NODE_MBIT
    registry_mbit: float = 100
    with_straight: bool = True

    @property
    def name(self) -> str:
        layers = f"{self.layers} layer{'s' if self.layers > 1 else ''}"
        slow = "" if self.node_mbit == _NODE_MBIT else f", {self.node_mbit:g} Mbit/s"
        return f"{self.nodes} nodes, {self.image_bytes // MB} MB in {layers}, {self.pattern}{slow}"

    def waves(self) -> list[range]:
        """The nodes' numbers, in groups that start together."""
        size = self.nodes
        if self.pattern == "rolling":
            size = max(round(self.nodes * ROLLING_SHARE), 1)
        return [range(start, min(start + size, self.nodes)) for start in range(0, self.nodes, size)]

    @property
    def layer_bytes(self) -> int:
        return self.image_bytes // self.layers

    @property
    def moved_bytes(self) -> int:
        """What a node lacks of the image."""
        return self.layer_bytes if self.pattern == "update" else self.image_bytes

    @property
    def usual_seconds(self) -> float:
        """What its row takes, roughly: starting agents, and every way of pulling, one beside the other or not."""
        moved = self.moved_bytes + (self.image_bytes if self.pattern == "update" else 0)
        line = moved / (self.node_mbit * _MBIT)
        starting = 5 + 0.6 * self.nodes
        if not self.with_straight:
            return starting + 1.5 * line
        straight = max(line, self.nodes * moved / (self.registry_mbit * _MBIT))
        return starting + 1.5 * line * len(self.waves()) + straight * (2 if self.nodes < 8 else 1)

    @property
    def nominal_bound_seconds(self) -> float:
        """The fluid bound for what every node lacks, all at once, were the links as fast as they are shaped to."""
        node, registry = self.node_mbit * _MBIT, self.registry_mbit * _MBIT
        return LinkRates(registry, node, node).bound_seconds(self.moved_bytes, self.nodes)


DEFAULT = (
    Scenario(2, 10 * MB, 1),
    Scenario(8, 10 * MB, 4, "rolling"),
    Scenario(8, 100 * MB, 1),
    Scenario(16, 10 * MB, 4, "update"),
    Scenario(32, 10 * MB, 4),
    # Slower links, and nothing without Shoal: so that processors have less to do with it.
    Scenario(32, 20 * MB, 4, node_mbit=10, registry_mbit=20, with_straight=False),
    Scenario(32, 100 * MB, 4),
)


def whole_matrix() -> tuple[Scenario, ...]:
    """An update of an image with one layer would be another image: those are left out."""
    return tuple(
        Scenario(nodes, size, layers, pattern)
        for size in SIZES
        for nodes in NODES
        for layers in LAYERS
        for pattern in PATTERNS
        if pattern != "update" or layers > 1
    )
