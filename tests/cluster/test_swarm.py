"""Eight nodes, each a host of its own, pull the same image at the same moment: the registry is read about once."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.clients.daemon import DaemonFailed
from tests.clients.registry import Registry, open_registry
from tests.clients.scratch import open_scratch
from tests.clients.shoal_node import ShoalNode, open_shoal, open_tracker
from tests.cluster.namespaces import Namespaces, open_namespaces
from tests.fakes.images import Image, busybox_layer, make_image, random_layer
from tests.fakes.publish import push_image

NODES = 8
COPIES = 1.1
LAYER_BYTES = (180_000_000, 80_000_000, 30_000_000, 6_000_000, 1_000_000, 20_000, 100)
ONE_READ_BYTES = 256 * 1024  # up to here one node reads all of a blob, beyond it nodes may share
REFERENCE = "docker.io/library/shoal:latest"
INSECURE = {"security__insecure_cluster": "true"}


def large_image() -> Image:
    layers = [random_layer(f"layer of {size}", size) for size in LAYER_BYTES]
    return make_image([busybox_layer(), *layers])


@asynccontextmanager
async def open_nodes(hosts: Namespaces, scratch: Path, registry: Registry) -> AsyncIterator[list[ShoalNode]]:
    """One in each namespace, their tracker in the hub."""
    hub = hosts.hub
    async with AsyncExitStack() as stack:
        tracker = await stack.enter_async_context(
            open_tracker(scratch / "tracker.log", host=hub.address, namespace=hub.namespace, **INSECURE)
        )
        nodes = []
        for number, host in enumerate(hosts.nodes):
            node = open_shoal(
                scratch / f"n{number}",
                registry.url,
                command="agent",
                tracker_url=tracker.url,
                namespace=host.namespace,
                peer__listen="0.0.0.0:5051",
                peer__advertise=f"{host.address}:5051",
                **INSECURE,
            )
            nodes.append(await stack.enter_async_context(node))
        yield nodes


@pytest.mark.real("namespaces", "registry", "busybox")
async def test_eight_nodes_read_the_registry_about_once(tmp_path: Path) -> None:
    image = large_image()
    async with open_registry(tmp_path / "seed") as registry:
        await push_image(image, registry.url, "library/shoal", "latest")
    with open_scratch() as scratch:
        async with open_namespaces(NODES) as hosts:
            hub = hosts.hub
            async with (
                open_registry(tmp_path / "seed", host=hub.address, namespace=hub.namespace) as registry,
                open_nodes(hosts, scratch, registry) as nodes,
            ):
                await pull_everywhere(nodes)
                print(f"{registry.blob_bytes() / image.size_bytes:.3f} copies left the registry")
                assert registry.blob_bytes() <= COPIES * image.size_bytes
                for blob in image.all_blobs():
                    assert registry.blob_bytes(str(blob.digest)) < 2 * blob.size_bytes
                    most = NODES / 2 if blob.size_bytes <= ONE_READ_BYTES else NODES
                    assert len(askers(registry, str(blob.digest))) < most  # no blob is asked for by all
                assert len(askers(registry, "latest")) < NODES / 2
                assert all(holds(node, image) for node in nodes)


async def pull_everywhere(nodes: list[ShoalNode]) -> None:
    """All begin before any has ended."""
    outcomes = []

    async def pull(node: ShoalNode) -> None:
        outcomes.append(await node.pull(REFERENCE))

    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(pull, node)
    assert [outcome["outcome"] for outcome in outcomes] == ["done"] * len(nodes), outcomes


def askers(registry: Registry, target: str) -> set[str]:
    """Which hosts asked for a tag or a digest, as a manifest or as a blob."""
    asked = [request for request in registry.requests() if request.uri.endswith(f"/{target}")]
    return {request.remote.rpartition(":")[0] for request in asked}


def holds(node: ShoalNode, image: Image) -> bool:
    """The bytes on disk are what the digests say."""
    return all(node.blob_sha256(blob.digest) == blob.digest.hex for blob in image.all_blobs())


@pytest.mark.real("namespaces")
async def test_a_node_listens_to_no_other_machine_without_the_word_for_it(tmp_path: Path) -> None:
    address = {"peer__listen": "0.0.0.0:0", "peer__advertise": "10.0.0.1:5051"}
    said = r"peer\.listen.* is reachable from other machines.*security\.insecure_cluster = true"
    with pytest.raises(DaemonFailed, match=said) as refused:
        async with open_shoal(tmp_path / "n", "http://127.0.0.1:1", command="agent", **address):
            pass
    assert "ended with 2" in str(refused.value)
    assert "Traceback" not in str(refused.value)
