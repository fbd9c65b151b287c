"""What the tracker knows, as plain values for /status and for people. Lists are cut at MOST; totals are not."""

from itertools import islice
from typing import Any

from agent.wire.node_id import short
from tracker.directory.lease import LeaseRecord
from tracker.directory.member import NodeRecord
from tracker.directory.swarm import Swarm
from tracker.directory.tracker import Tracker

MOST = 1000


def snapshot(tracker: Tracker, now: float) -> dict[str, Any]:
    """Values that JSON knows. Times are seconds from `now`."""
    directory = tracker.directory
    return {
        "totals": {
            "nodes": len(directory.nodes),
            "busy_nodes": directory.busy_nodes,
            "swarms": len(directory.swarms),
            "leases": len(directory.leases),
            "bans": len(directory.bans.items()),
            "tags": len(tracker.tags),
            "pushed_names": len(tracker.pushed),
            "inline_bodies": len(directory.bodies),
            "inline_bytes": directory.bodies.bytes,
        },
        "nodes": [_node(record, now) for record in islice(directory.nodes.values(), MOST)],
        "swarms": [_swarm(swarm, now) for swarm in islice(directory.swarms.values(), MOST)],
        "leases": [_lease(lease, now) for lease in islice(directory.leases.running(), MOST)],
        "bans": [
            {"node": short(node), "reason": ban.reason, "seconds_left": round(ban.until - now, 1)}
            for node, ban in directory.bans.items()[:MOST]
        ],
    }


def _node(record: NodeRecord, now: float) -> dict[str, Any]:
    return {
        "node": short(record.node),
        "name": record.name,
        "address": record.address,
        "zone": record.zone,
        "rack": record.rack,
        "swarms": len(record.members),
        "incomplete": record.incomplete,
        "seen_seconds_ago": round(now - record.last_seen, 3),
    }


def _swarm(swarm: Swarm, now: float) -> dict[str, Any]:
    return {
        "digest": str(swarm.digest),
        "size": swarm.size,
        "chunks": swarm.count,
        "held": swarm.held(now).bit_count(),
        "participants": len(swarm.members),
        "complete": len(swarm.complete),
        "claims": len(swarm.claims),
        "disputes": len(swarm.claims.disputes),
        "leases": len(swarm.leases),
    }


def _lease(lease: LeaseRecord, now: float) -> dict[str, Any]:
    return {
        "node": short(lease.member.node),
        "digest": str(lease.swarm.digest),
        "source": lease.source,
        "kind": lease.kind.value,
        "start": lease.start,
        "stop": lease.stop,
        "next": lease.next,
        "progress_seconds_ago": round(now - lease.progressed_at, 3),
    }
