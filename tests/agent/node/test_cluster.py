"""Nodes of one process pull through each other."""

import random
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from agent.content.digest import Digest
from agent.node.node import Node
from agent.wire.node_id import NodeId
from tests.agent.node.cluster import open_cluster, pull, pull_everywhere
from tests.fakes.upstream import Fault, open_upstream

_MIB = 1024 * 1024


async def test_eight_nodes_at_once_read_each_byte_of_the_registry_once(tmp_path: Path) -> None:
    layers = [random.Random(n).randbytes(3 * _MIB + n) for n in range(3)]
    async with open_upstream() as upstream:
        image = upstream.add_image("team/app", layers=layers)
        async with open_cluster(upstream, tmp_path, 8) as cluster:
            with trio.fail_after(30):
                await pull_everywhere(cluster.nodes, "team/app")
            for node in cluster.nodes:
                for digest, _ in node.store.complete_digests():
                    assert node.store.verify(digest)
    size = sum(map(len, layers)) + len(image.config) + len(image.body)
    assert size <= upstream.bytes_sent() <= 1.1 * size
    assert len(upstream.asked("/manifests/latest")) <= 2


@pytest.mark.parametrize("zones", ["abc", "abbb"])
async def test_a_layer_is_read_once_for_nodes_that_are_alone_in_their_zones(
    tmp_path: Path, zones: str
) -> None:
    layer = random.Random(4).randbytes(12 * _MIB)
    async with open_upstream() as upstream, open_cluster(upstream, tmp_path, 0) as cluster:
        image = upstream.add_image("team/app", layers=[layer])
        async with AsyncExitStack() as stack:
            nodes = [
                await stack.enter_async_context(cluster.open_node(f"n{number}", node__zone=zone))
                for number, zone in enumerate(zones)
            ]
            with trio.fail_after(30):
                await pull_everywhere(nodes, "team/app")
    size = len(layer) + len(image.config) + len(image.body)
    assert size <= upstream.bytes_sent() <= 1.1 * size


async def test_an_importer_links_with_the_other_zone_though_it_has_neighbours_enough(tmp_path: Path) -> None:
    layer = random.Random(5).randbytes(3 * _MIB)
    async with open_upstream() as upstream, open_cluster(upstream, tmp_path, 0) as cluster:
        upstream.add_image("team/app", layers=[layer])
        upstream.faults.add(Fault(stall_before_answer=True), match=f"/blobs/{Digest.of(layer)}")
        async with (
            cluster.open_node("far", node__zone="a") as far,
            cluster.open_node("first", node__zone="b", peer__neighbours="1") as first,
            cluster.open_node("second", node__zone="b", peer__neighbours="1") as second,
            trio.open_nursery() as nursery,
        ):
            with trio.fail_after(2.5):  # an importer that starves for 3 hands over, and both have links
                for node in (first, second):
                    nursery.start_soon(pull, node, "team/app")
                while not all(_neighbours(node, layer) for node in (first, second)):
                    await trio.sleep(0.01)
                nursery.start_soon(pull, far, "team/app")
                while any(len(_neighbours(node, layer)) < 2 for node in (first, second)):
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()


def _neighbours(node: Node, layer: bytes) -> list[NodeId]:
    digest = Digest.of(layer)
    return [one for session in node.hub.sessions if session.digest == digest for one in session.neighbours]
