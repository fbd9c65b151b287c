"""Push-through into a real registry: it is killed in the middle, and so is the agent; the image arrives whole."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.clients.registry import Registry, open_registry
from tests.clients.shoal_node import ShoalNode, open_shoal
from tests.clients.skopeo import Skopeo
from tests.clients.zoo import zoo
from tests.fakes.images import make_image, random_layer
from tests.fakes.publish import push_image

NOBODY = "http://127.0.0.1:1"
LAYER_BYTES = 300_000_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def going_on(node: ShoalNode) -> list[dict[str, Any]]:
    return list((await node.status())["push_through"])


async def wait_until(node: ShoalNode, is_so: Callable[[list[dict[str, Any]]], bool]) -> None:
    with trio.fail_after(120):
        while not is_so(await going_on(node)):
            await trio.sleep(0.02)


def is_in_the_middle(pushes: list[dict[str, Any]]) -> bool:
    return any(one["state"] == "pushing" and one["sent_bytes"] > 1_000_000 for one in pushes)


async def pulled(scratch: Path, registry: Registry, name: str, directory: str) -> Path:
    skopeo = Skopeo.in_directory(scratch / "skopeo", insecure=(registry.authority,))
    await skopeo.copy_to_directory(
        f"{registry.authority}/{name}", scratch / directory, "--all", "--src-tls-verify=false"
    )
    return scratch / directory


@pytest.mark.real("registry", "skopeo", "busybox")
async def test_an_image_arrives_whole_though_registry_and_agent_are_killed(scratch: Path) -> None:
    image = make_image([random_layer("whale", LAYER_BYTES)])
    registry_port, files = free_port(), scratch / "registry"
    settings = {"push_through": f"team=127.0.0.1:{registry_port}/mirror"}
    async with open_shoal(scratch / "n", NOBODY, **settings) as node:
        async with open_registry(files, port=registry_port) as registry:
            for tag, one in zoo().items():
                await push_image(one, node.url, "team/fish", tag)
            await push_image(image, node.url, "team/whale", "1")
            await wait_until(node, is_in_the_middle)
            await registry.daemon.kill()
        await wait_until(node, lambda pushes: any(one["state"] == "failed" for one in pushes))
        assert all(one["reason"] for one in await going_on(node) if one["state"] == "failed")
        async with open_registry(files, port=registry_port):
            await wait_until(node, is_in_the_middle)
            await node.daemon.kill()
    async with open_registry(files, port=registry_port) as registry:
        async with open_shoal(scratch / "n", NOBODY, **settings) as node:
            await wait_until(node, lambda pushes: not pushes)
        whale = await pulled(scratch, registry, "mirror/whale:1", "whale")
        assert (whale / "manifest.json").read_bytes() == b"".join(image.manifest.pieces())
        assert all((whale / blob.digest.hex).stat().st_size == blob.size_bytes for blob in image.blobs)
        for tag, one in zoo().items():
            fish = await pulled(scratch, registry, f"mirror/fish:{tag}", f"fish-{tag}")
            assert json.loads((fish / "manifest.json").read_bytes()) == json.loads(
                b"".join(one.manifest.pieces())
            )
