"""`status_of`: a node in one JSON object: what `shoal status` shows and scripts read."""

from typing import Any

import trio

from agent.node.cluster_names import PushOutcome
from agent.node.download import Download
from agent.node.node import Node
from agent.node.push_through import GoingOn
from agent.wire.node_id import NodeId, short


def status_of(node: Node) -> dict[str, Any]:
    settings, tracker, usage = node.settings, node.tracker, node.store.usage()
    return {
        "node": {
            "name": settings.node.name,
            "id": short(node.key.node),
            "cluster": settings.security.cluster,
            "zone": settings.node.zone,
            "peer_address": node.peer_address,
            "uptime_seconds": round(trio.current_time() - node.started_at, 1),
        },
        "tracker": {
            "url": settings.tracker.url,
            "reached": tracker.is_configured and tracker.silent_since is None,
            "nodes": tracker.cluster_nodes,
        },
        "peers": [
            {
                "id": short(link.node),
                "address": link.address,
                "received_bytes": link.bytes_received,
                "sent_bytes": link.bytes_sent,
            }
            for link in node.hub.links.all
        ],
        "swarms": [
            {
                "digest": str(session.digest),
                "size": session.swarm.chunks.size,
                "chunks": session.swarm.chunks.count,
                "chunks_here": len(session.swarm.have),
                "peers": len(session.neighbours),
            }
            for session in node.hub.sessions
        ],
        "pushes": [_push(outcome) for outcome in node.names.outcomes],
        "push_through": [_going_on(one) for one in node.push_through.status()],
        "downloads": [_download(download) for download in node.blobs.downloads],
        "traffic": {
            "total_bytes": node.traffic.totals,
            "bytes_per_second": {key: round(rate) for key, rate in node.traffic.rates().items()},
            "share_from_peers": node.traffic.share_from_peers(),
        },
        "store": {
            "path": str(node.store.root),
            "blobs": usage.blobs,
            "blob_bytes": usage.blob_bytes,
            "partial_bytes": usage.partial_bytes,
            "free_bytes": usage.free_bytes,
            "quota_bytes": usage.quota_bytes,
        },
    }


def _push(outcome: PushOutcome) -> dict[str, Any]:
    """A tag that was pushed here or deleted, or that another node has since: `by`, which made it `now`."""
    name, winner = outcome.name, outcome.by
    return {
        "image": f"{name.repository}:{name.name}",
        "digest": str(name.digest),
        "at": name.at,
        "deleted": name.deleted,
        "by": None if winner is None else short(NodeId(winner.writer)),
        "now": None if winner is None or winner.deleted else str(winner.digest),
    }


def _going_on(one: GoingOn) -> dict[str, Any]:
    """A push that goes on to a registry: waiting, pushing, or failed for now."""
    queued, wait = one.queued, one.next_try_seconds
    separator = "@" if ":" in queued.reference else ":"
    return {
        "image": f"{queued.repository}{separator}{queued.reference}",
        "digest": str(queued.root.digest),
        "target": None if one.target is None else f"{one.target}{separator}{queued.reference}",
        "state": one.state,
        "sent_bytes": one.sent_bytes,
        "total_bytes": one.total_bytes,
        "queued_at": queued.queued_at,
        "failures": queued.failures,
        "reason": queued.reason or None,
        "next_try_seconds": None if wait is None else round(wait, 1),
    }


def _download(download: Download) -> dict[str, Any]:
    tally = download.tally
    return {
        "digest": str(download.digest),
        "repository": str(download.source.repository),
        "size": download.size,
        "registry_bytes": tally.registry,
        "peer_bytes": tally.peers,
        "resumed_bytes": tally.resumed,
        "peers": 0 if download.session is None else len(download.session.neighbours),
    }
