"""The tracker goes, comes back, or was never there: every pull ends well, and the registry is not fallen upon."""

import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from agent.content.digest import Digest
from tests.agent.node.cluster import Cluster, open_tracker, pull
from tests.fakes.upstream import Fault, open_upstream

pytestmark = pytest.mark.slow

LAYER = random.Random(5).randbytes(1_200_000)
DIGEST = Digest.of(LAYER)


async def test_a_node_without_a_tracker_pulls_from_the_registry(tmp_path: Path) -> None:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[LAYER])
        async with Cluster(upstream, "", tmp_path).open_node("alone") as node:
            progress = await pull(node, "team/app")
            assert node.store.read(DIGEST, len(LAYER)) == LAYER
        assert all(layer.state == "done" for layer in progress.layers)
        assert upstream.bytes_sent(str(DIGEST)) == len(LAYER)


async def test_a_tracker_that_cannot_be_reached_holds_nobody_up(tmp_path: Path) -> None:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[LAYER])
        async with Cluster(upstream, "http://127.0.0.1:9", tmp_path).open_node("alone") as node:
            with trio.fail_after(15):
                await pull(node, "team/app")
            assert node.store.read(DIGEST, len(LAYER)) == LAYER


async def test_a_tracker_that_dies_in_mid_rollout_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    async with open_upstream() as upstream, trio.open_nursery() as nursery, AsyncExitStack() as nodes:
        upstream.add_image("team/app", layers=[LAYER])
        upstream.faults.add(Fault(bytes_per_second=1_500_000), match=f"/blobs/{DIGEST}")
        url, stop_tracker = await nursery.start(_run_tracker, 0)
        cluster = Cluster(upstream, url, tmp_path)
        for number in range(4):
            cluster.nodes.append(await nodes.enter_async_context(cluster.open_node(f"node{number}")))
        for node in cluster.nodes:
            nursery.start_soon(pull, node, "team/app")
        while not any(node.traffic.totals["registry_in"] > 200_000 for node in cluster.nodes):
            await trio.sleep(0.01)
        stop_tracker()
        with trio.fail_after(20):
            while not all(node.store.size_of(DIGEST) for node in cluster.nodes):
                await trio.sleep(0.05)
        for node in cluster.nodes:
            assert node.store.read(DIGEST, len(LAYER)) == LAYER
        with trio.fail_after(20):
            await _until(
                lambda: all(node.tracker.silent_since is not None for node in cluster.nodes), cluster
            )
            _, stop_tracker = await nursery.start(_run_tracker, int(url.rpartition(":")[2]))
            await _until(lambda: all(node.tracker.silent_since is None for node in cluster.nodes), cluster)
            before = upstream.bytes_sent(str(DIGEST))
            async with cluster.open_node("late") as late:
                await pull(late, "team/app")
                assert late.store.read(DIGEST, len(LAYER)) == LAYER
        assert upstream.bytes_sent(str(DIGEST)) == before
        stop_tracker()


async def _until(condition: Callable[[], bool], cluster: Cluster) -> None:
    """At rest a node calls the tracker every few seconds; here it is hurried."""
    while not condition():
        for node in cluster.nodes:
            node.tracker.wake()
        await trio.sleep(0.02)


async def _run_tracker(port: int, task_status: trio.TaskStatus[tuple[str, Callable[[], None]]]) -> None:
    with trio.CancelScope() as scope:
        async with open_tracker(port) as url:
            task_status.started((url, scope.cancel))
            await trio.sleep_forever()
