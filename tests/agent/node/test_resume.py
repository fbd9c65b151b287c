"""What was verified before a stop is not fetched again, whoever asks afterwards and however."""

import random
from pathlib import Path

import trio

from agent.content.digest import Digest
from agent.content.reference import Repository
from agent.node.source import Source
from tests.agent.node.cluster import REGISTRY, Cluster
from tests.fakes.upstream import Fault, open_upstream

LAYER = random.Random(11).randbytes(1_000_000)
DIGEST = Digest.of(LAYER)
SOURCE = Source(Repository(REGISTRY, "team/app"), "blobs")
CHUNK_BYTES = 64 * 1024


async def test_a_blob_of_which_only_the_digest_is_known_is_resumed_after_a_restart(tmp_path: Path) -> None:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[LAYER])
        upstream.faults.add(Fault(bytes_per_second=2_000_000), match=f"/blobs/{DIGEST}", times=1)
        cluster = Cluster(upstream, "", tmp_path)
        async with cluster.open_node("node") as node, node.blobs.open_blob(DIGEST, SOURCE) as reader:
            with trio.fail_after(5):
                had = await reader.wait_readable(4 * CHUNK_BYTES)
        before = len(upstream.asked(str(DIGEST)))
        async with cluster.open_node("node") as node, node.blobs.open_blob(DIGEST, SOURCE) as reader:
            with trio.fail_after(5):
                while await reader.wait_readable(len(LAYER) - 1) < len(LAYER):
                    pass
        again = sum(record.bytes_sent for record in upstream.asked(str(DIGEST))[before:])
        assert again <= len(LAYER) - had + CHUNK_BYTES
