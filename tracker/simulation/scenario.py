"""`Scenario`: a rollout as data. Sizes in bytes, rates in bytes a second, times in seconds."""

from dataclasses import dataclass, field

from agent.content.chunk_map import ChunkMap
from agent.swarm.policy import SwarmPolicy

GBIT = 1e9 / 8


@dataclass(frozen=True, slots=True)
class RegistryScenario:
    """rate: of all connections together. quota: requests a `quota_seconds`, beyond which it answers 429 with
    Retry-After; 0 for no limit. off: it answers nothing between these times. storm: between these, 429 to all."""

    rate: float = GBIT
    connection_rate: float = float("inf")
    request_seconds: float = 0.01
    quota: int = 0
    quota_seconds: float = 10.0
    retry_after_seconds: float = 5.0
    off: tuple[float, float] | None = None
    storm: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Hardship:
    """What befalls the nodes, as shares of them. slow: `slow_factor` times slower lines. corrupt: sends wrong bytes.
    boastful: says it has everything, and has nothing. mute: accepts requests and never sends. dying: one at least, dies
    at a time of chance in the rollout and is back `away_seconds` later with the chunks that it had (never, where 0).
    late: comes when the others are half through. loss: share of packets lost. full: has no room on its disk from half
    time on. parted: every fourth node reaches neither the others nor the tracker between these times."""

    slow: float = 0.0
    slow_factor: float = 10.0
    corrupt: float = 0.0
    boastful: float = 0.0
    mute: float = 0.0
    dying: float = 0.0
    away_seconds: float = 0.0
    late: float = 0.0
    loss: float = 0.0
    tracker_off: tuple[float, float] | None = None
    full: float = 0.0
    parted: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class ZoneScenario:
    """zones: how many, of equal size but for `first_share` of the nodes in the first. latency_seconds, connection_rate:
    from node to node between two zones. starved: some nodes of the last zone, its first importer among them, cannot
    reach the others."""

    zones: int = 1
    first_share: float = 0.0
    latency_seconds: float = 0.02
    connection_rate: float = float("inf")
    starved: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """layers: sizes of the blobs, all wanted at once by every node. chunks: of each, None for what the size gives.
    up, down: of a node's line. latency_seconds: one way, inside a zone. join_seconds: nodes start within this time."""

    nodes: int = 100
    layers: tuple[int, ...] = (3_000_000_000,)
    chunks: int | None = 256
    up: float = GBIT
    down: float = GBIT
    latency_seconds: float = 0.0005
    join_seconds: float = 0.05
    tracker_seconds: float = 0.0
    registry: RegistryScenario = field(default_factory=RegistryScenario)
    zones: ZoneScenario = field(default_factory=ZoneScenario)
    hardship: Hardship = field(default_factory=Hardship)
    policy: SwarmPolicy = field(default_factory=SwarmPolicy)
    neighbours: int = 8
    in_order: bool = False
    seed: int = 1
    about: str = ""

    @property
    def image_bytes(self) -> int:
        return sum(self.layers)

    def cut(self, size: int) -> ChunkMap:
        """How a blob of this size is cut, the same for everybody."""
        return ChunkMap.of(size) if self.chunks is None else ChunkMap(size, -(-size // self.chunks))
