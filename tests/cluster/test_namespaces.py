"""Hosts in namespaces: they reach each other and the hub, no faster than shaped, and leave nothing behind."""

from pathlib import Path

import pytest
import trio

from tests.clients.command import CommandFailed, run
from tests.clients.daemon import is_running
from tests.clients.registry import open_registry
from tests.clients.scratch import open_scratch
from tests.clients.waiting import wait_until
from tests.cluster.namespaces import Shape, open_namespaces
from tests.fakes.images import make_image, random_layer
from tests.fakes.publish import push_image

pytestmark = pytest.mark.real("namespaces", "registry", "busybox", "curl")


async def test_hosts_reach_a_registry_in_the_hub_from_their_own_addresses(tmp_path: Path) -> None:
    image = make_image([random_layer("payload", 50_000)])
    async with open_registry(tmp_path / "seed") as registry:
        await push_image(image, registry.url, "fish", "latest")
    blob = f"v2/fish/blobs/{image.blobs[-1].digest}"
    async with (
        open_namespaces(3) as hosts,
        open_registry(tmp_path / "seed", host=hosts.hub.address, namespace=hosts.hub.namespace) as registry,
    ):
        for node in hosts.nodes:
            await node.run("curl", "--silent", "--fail", "--output", "/dev/null", f"{registry.url}/{blob}")
        await wait_until(lambda: len(registry.blob_requests()) == len(hosts.nodes))
        remotes = [request.remote.split(":")[0] for request in registry.blob_requests()]
        assert remotes == [node.address for node in hosts.nodes]


async def test_a_shaped_link_carries_what_it_should_both_ways(tmp_path: Path) -> None:
    """Down from a registry in the hub, which is not shaped; up from one on a node, which is."""
    image = make_image([random_layer("payload", 4_000_000)])
    async with open_registry(tmp_path / "seed") as registry:
        await push_image(image, registry.url, "fish", "latest")
    path = f"/v2/fish/blobs/{image.blobs[-1].digest}"
    at_rate = image.blobs[-1].size_bytes * 8 / 40e6
    async with open_namespaces(1, shape=Shape(40)) as hosts:
        (node,) = hosts.nodes
        for server, client in ((hosts.hub, node), (node, hosts.hub)):
            async with open_registry(
                tmp_path / "seed", host=server.address, namespace=server.namespace
            ) as registry:
                began = trio.current_time()
                await client.run("curl", "--silent", "--fail", "--output", "/dev/null", registry.url + path)
                assert at_rate * 0.8 < trio.current_time() - began < at_rate * 3


async def test_a_node_whose_cable_is_out_reaches_nobody_until_it_is_mended() -> None:
    async with open_namespaces(2) as hosts:
        first, second = hosts.nodes
        ping = ["busybox", "ping", "-c", "1", "-W", "1", first.address]
        await second.run(*ping)
        await hosts.cut(first)
        with pytest.raises(CommandFailed):
            await second.run(*ping)
        await hosts.mend(first)
        await second.run(*ping)


async def test_nothing_is_left_after_a_failure_inside() -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_namespaces(2) as hosts:
            name = hosts.hub.namespace.removesuffix("-hub")
            with open_scratch() as scratch:
                await hosts.nodes[0].run("sh", "-c", f"sleep 300 >/dev/null 2>&1 & echo $! > {scratch}/pid")
                pid = int((scratch / "pid").read_text())
            raise ZeroDivisionError
    assert name not in (await run("ip", "netns", "list")).stdout
    assert not is_running(pid)
