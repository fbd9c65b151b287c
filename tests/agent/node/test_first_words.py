"""How a node takes up a swarm: what it says first to a neighbour, and what it does with a lease that comes early."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import trio

from agent.content.chunk_map import ChunkMap
from agent.content.chunk_set import ChunkSet
from agent.content.digest import Digest
from agent.node.node import open_node
from agent.telemetry.metrics import Metrics
from agent.wire import peer_messages as wire
from tests.agent.node.cluster import REGISTRY, node_settings, open_cluster, open_tracker, pull
from tests.agent.node.fake_peer import open_fake_peer
from tests.fakes.upstream import FakeUpstream, open_upstream

LAYER = random.Random(5).randbytes(3_000_000)
T = TypeVar("T")


async def test_a_node_introduces_itself_to_a_swarm_before_it_offers_a_chunk(tmp_path: Path) -> None:
    """Offers on a channel that the neighbour has not heard of are lost, and keep the upload slots for seconds."""
    chunks = ChunkMap.of(len(LAYER))
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[LAYER])
        async with open_cluster(upstream, tmp_path, 1) as cluster:
            await pull(cluster.nodes[0], "team/app")
            async with open_fake_peer(cluster.nodes[0]) as peer:
                everything = ChunkSet.full(chunks.count).to_bytes()
                await peer.send(wire.Interest(7, Digest.of(LAYER), len(LAYER), b"", everything, 2))
                with trio.fail_after(5):
                    said = [await peer.receive() for _ in range(2)]
    assert [type(message) for message in said] == [wire.Interest, wire.Offer]


class SlowDisk:
    """Partial blobs open only once the tracker's first answers are long here; everything else is done at once."""

    async def __call__(self, work: Callable[..., T], *args: Any) -> T:
        await trio.sleep(0.2 if getattr(work, "__name__", "") == "open_partial" else 0)
        return work(*args)


def _reads(upstream: FakeUpstream) -> list[str | None]:
    return [record.range for record in upstream.asked(str(Digest.of(LAYER)), method="GET")]


async def test_a_lease_that_comes_before_the_partial_blob_is_open_is_read_no_further_than_it_goes(
    tmp_path: Path,
) -> None:
    async with open_upstream() as upstream, open_tracker() as tracker_url:
        upstream.add_image("team/app", layers=[LAYER])
        settings = node_settings(tmp_path / "node", upstream.url, tracker_url)
        async with open_node(settings, Metrics([REGISTRY]), SlowDisk()) as node:
            with trio.fail_after(20):
                await pull(node, "team/app")
    assert None not in _reads(upstream)
    assert upstream.bytes_sent(str(Digest.of(LAYER))) == len(LAYER)
