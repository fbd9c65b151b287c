"""`Report`: what came of a simulated rollout, in the terms in which it is judged."""

import math
import statistics
from dataclasses import dataclass

from tracker.simulation.bounds import chunked_bound_seconds
from tracker.simulation.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Report:
    """Times from a node's own start to its last verified chunk, in seconds; stuck nodes are in none of them, and where
    nobody is ever done they are infinite. seconds: how long it went on. stuck_share: of their chunks stuck nodes have.

    registry_copies: what was read for the swarm, hostile nodes' leases included; not what hostile nodes read for
    themselves, since nobody gives them anything. fairness: Jain's index of bytes uploaded, 1.0 where everybody uploads
    alike. cross_zone_ratio: bytes between zones over an image for each zone that has nodes but one; 0 where there is
    one. messages_per_node: frames between peers. declined: offers declined, a chunk received.
    """

    nodes: int
    chunks: int
    seconds: float
    bound_seconds: float
    chunked_bound_seconds: float
    p50_seconds: float
    p99_seconds: float
    max_seconds: float
    registry_copies: float
    registry_requests: int
    registry_refusals: int
    cross_zone_bytes: float
    cross_zone_ratio: float
    fairness: float
    messages_per_node: float
    tracker_calls: int
    declined: float
    stuck_nodes: int
    stuck_share: float
    bans: int
    finish_times: tuple[float, ...]

    @property
    def p50_over_bound(self) -> float:
        return self.p50_seconds / self.bound_seconds

    @property
    def p99_over_bound(self) -> float:
        return self.p99_seconds / self.bound_seconds

    @property
    def max_over_bound(self) -> float:
        return self.max_seconds / self.bound_seconds

    def fields(self) -> dict[str, float | int | None]:
        """For scripts. JSON knows no infinity: what never ends is None."""
        return {
            "nodes": self.nodes,
            "chunks": self.chunks,
            "bound_seconds": round(self.bound_seconds, 4),
            "p50_over_bound": _finite(self.p50_over_bound),
            "p99_over_bound": _finite(self.p99_over_bound),
            "max_over_bound": _finite(self.max_over_bound),
            "registry_copies": round(self.registry_copies, 4),
            "cross_zone_ratio": round(self.cross_zone_ratio, 4),
            "stuck_nodes": self.stuck_nodes,
        }


def report_of(cluster: Cluster) -> Report:
    scenario = cluster.scenario
    honest = [node for node in cluster.nodes.values() if not node.is_hostile]
    seconds = sorted(node.whole_at - node.started_at for node in honest if node.whole_at is not None)
    finished = sorted(node.whole_at for node in honest if node.whole_at is not None)
    stuck = [node for node in honest if node.alive and node.whole_at is None]
    uploads = [node.up.total_bytes for node in honest]
    images = scenario.image_bytes * (len({node.zone for node in cluster.nodes.values()}) - 1)
    chunks = sum(blob.chunks.count for blob in cluster.blobs)
    return Report(
        nodes=scenario.nodes,
        chunks=chunks,
        seconds=cluster.clock.now,
        bound_seconds=cluster.bound_seconds,
        chunked_bound_seconds=chunked_bound_seconds(scenario),
        p50_seconds=statistics.median(seconds) if seconds else math.inf,
        p99_seconds=seconds[math.ceil(0.99 * len(seconds)) - 1] if seconds else math.inf,
        max_seconds=seconds[-1] if seconds else math.inf,
        registry_copies=(cluster.registry.port.total_bytes - cluster.read_for_themselves_bytes)
        / scenario.image_bytes,
        registry_requests=cluster.registry.requests,
        registry_refusals=cluster.registry.refusals,
        cross_zone_bytes=cluster.cross_zone_bytes,
        cross_zone_ratio=cluster.cross_zone_bytes / images if images else 0.0,
        fairness=_jain(uploads),
        messages_per_node=sum(node.frames_sent for node in cluster.nodes.values()) / scenario.nodes,
        tracker_calls=cluster.tracker_calls,
        declined=sum(node.rejections for node in honest) / max(sum(node.chunks_held for node in honest), 1),
        stuck_nodes=len(stuck),
        stuck_share=sum(node.chunks_held for node in stuck) / max(len(stuck) * chunks, 1),
        bans=cluster.bans,
        finish_times=tuple(finished),
    )


def _finite(ratio: float) -> float | None:
    return round(ratio, 4) if math.isfinite(ratio) else None


def _jain(amounts: list[float]) -> float:
    squares = sum(amount * amount for amount in amounts)
    return sum(amounts) ** 2 / (len(amounts) * squares) if squares else 1.0
