"""`shoal status` as text."""

from typing import Any

import click
import pytest

from agent.commands.status_page import status_lines


def _status(**more: Any) -> dict[str, Any]:
    totals = {"registry_in": 1000, "peers_in": 3000, "peers_out": 0, "clients_out": 4000}
    return {
        "node": {
            "name": "edge-1",
            "id": "0123456789ab",
            "cluster": "default",
            "zone": "z1",
            "peer_address": "10.0.0.1:5051",
            "uptime_seconds": 200.0,
        },
        "tracker": {"url": "http://10.0.0.9:5052", "reached": True, "nodes": 1},
        "peers": [],
        "swarms": [],
        "downloads": [],
        "traffic": {"total_bytes": totals, "bytes_per_second": totals, "share_from_peers": 0.75},
        "store": {
            "path": "/var/lib/shoal/store",
            "blobs": 1,
            "blob_bytes": 4000,
            "partial_bytes": 0,
            "free_bytes": 10**9,
            "quota_bytes": None,
        },
        **more,
    }


def _plain(status: dict[str, Any], max_rows: int = 20) -> list[str]:
    return [click.unstyle(line) for line in status_lines(status, max_rows)]


def test_status_tells_who_the_node_is_and_what_came_from_peers() -> None:
    text = "\n".join(_plain(_status()))
    assert "edge-1 (0123456789ab), cluster default, zone z1, up 3 min 20 s" in text
    assert "http://10.0.0.9:5052, 1 node" in text
    assert "75% of what came in is from peers" in text
    assert "4kB in 1 blob, 1GB free, at /var/lib/shoal/store" in text


@pytest.mark.parametrize(
    ("tracker", "text"),
    [
        ({"url": "", "reached": False, "nodes": 0}, "none: this node is alone"),
        ({"url": "http://t:1", "reached": False, "nodes": 5}, "http://t:1, not reached"),
    ],
)
def test_status_tells_a_tracker_that_is_missing_from_one_that_is_silent(
    tracker: dict[str, Any], text: str
) -> None:
    assert any(text in line for line in _plain(_status(tracker=tracker)))


def test_a_node_that_received_nothing_has_no_share_from_peers() -> None:
    traffic = {**_status()["traffic"], "share_from_peers": None}
    assert any("nothing came in yet" in line for line in _plain(_status(traffic=traffic)))


def test_long_lists_are_cut_and_what_is_busy_comes_first() -> None:
    swarms = [
        {"digest": f"sha256:{n:064x}", "size": 1000, "chunks": 4, "chunks_here": 4, "peers": 0}
        for n in range(30)
    ]
    swarms[29]["chunks_here"] = 1
    lines = _plain(_status(swarms=swarms), max_rows=5)
    title = lines.index("Swarms (30)")
    assert "1/4 chunks here" in lines[title + 1]
    assert "  and 25 more" in lines


def test_a_download_of_unknown_size_is_shown_without_a_share() -> None:
    download = {
        "digest": f"sha256:{0:064x}",
        "repository": "docker.io/library/app",
        "size": None,
        "registry_bytes": 5,
        "peer_bytes": 0,
        "resumed_bytes": 0,
        "peers": 1,
    }
    (line,) = [line for line in _plain(_status(downloads=[download])) if "of unknown size" in line]
    assert "1 neighbour " in line
