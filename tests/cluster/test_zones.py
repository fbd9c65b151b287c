"""Three edge sites of one node each pull the same image at the same moment: the registry is read about once."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from tests.clients.registry import open_registry
from tests.clients.scratch import open_scratch
from tests.clients.shoal_node import open_shoal, open_tracker
from tests.cluster.test_swarm import COPIES, INSECURE, holds, pull_everywhere
from tests.fakes.images import make_image, random_layer
from tests.fakes.publish import push_image

LAYER_BYTES = 60_000_000


@pytest.mark.real("registry")
async def test_three_nodes_in_three_zones_read_the_registry_about_once(tmp_path: Path) -> None:
    image = make_image([random_layer("for edge sites", LAYER_BYTES)])
    async with AsyncExitStack() as stack:
        scratch = stack.enter_context(open_scratch())
        registry = await stack.enter_async_context(open_registry(tmp_path / "seed"))
        await push_image(image, registry.url, "library/shoal", "latest")
        tracker = await stack.enter_async_context(open_tracker(scratch / "tracker.log", **INSECURE))
        nodes = []
        for number in range(1, 4):
            node = open_shoal(
                scratch / f"n{number}",
                registry.url,
                command="agent",
                tracker_url=tracker.url,
                node__zone=f"zone-{number}",
                **INSECURE,
            )
            nodes.append(await stack.enter_async_context(node))
        before = registry.blob_bytes()
        with trio.fail_after(60):
            await pull_everywhere(nodes)
        copies = (registry.blob_bytes() - before) / image.size_bytes
        print(f"{copies:.3f} copies left the registry")
        assert copies <= COPIES
        assert all(holds(node, image) for node in nodes)
