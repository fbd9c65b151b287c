"""`Services`: what every download of a node works with; `Tally`: where a download's bytes came from."""

import random
from dataclasses import dataclass, field

from agent.node.hop import Hops
from agent.node.hub import SwarmHub
from agent.node.in_flight import InFlight
from agent.node.rate_limit import RateLimit
from agent.node.tracker_session import TrackerSession
from agent.node.traffic import Traffic
from agent.origin.origin import Origin
from agent.store.store import Store
from agent.swarm.policy import SwarmPolicy
from agent.telemetry.metrics import Metrics
from agent.wire.vouch import Notary


@dataclass(frozen=True, slots=True)
class Services:
    """`neighbours`: how many a swarm of some hundreds wants. `download_rate`: of this node, links and registry
    together."""

    store: Store
    origin: Origin
    hub: SwarmHub
    tracker: TrackerSession
    notary: Notary
    metrics: Metrics
    traffic: Traffic
    hops: Hops
    rng: random.Random
    neighbours: int
    download_rate: RateLimit
    in_flight: InFlight
    policy: SwarmPolicy = field(default_factory=SwarmPolicy)


@dataclass(slots=True)
class Tally:
    """Bytes by source. `resumed`: verified chunks of an earlier attempt, found on disk."""

    registry: int = 0
    peers: int = 0
    resumed: int = 0
