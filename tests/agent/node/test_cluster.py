"""Nodes of one process pull through each other."""

import random
from pathlib import Path

import trio

from tests.agent.node.cluster import open_cluster, pull_everywhere
from tests.fakes.upstream import open_upstream

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
