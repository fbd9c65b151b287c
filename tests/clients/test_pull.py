"""Real clients pull every kind of image through a real node, which has one upstream, and the images run.

A node serves two registries, docker.io and registry.example; which one a client means it says in its own way. That the
client took nothing from elsewhere shows in the upstream's log: only the node has asked it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.buildah import Buildah
from tests.clients.containerd import open_containerd
from tests.clients.docker_engine import DockerEngine, open_docker_engine
from tests.clients.podman import Podman
from tests.clients.registry import Registry
from tests.clients.shoal_node import REGISTRY, open_shoal
from tests.clients.skopeo import Skopeo
from tests.clients.zoo import LAYERS_OF_MANY, push_zoo, zoo
from tests.fakes.images import GREETING

PUSHER = "python-httpx"


def only_the_node_asked(registry: Registry) -> bool:
    """And for no byte of a blob twice, however many clients, names and tags there were."""
    agents = {request.user_agent.split("/")[0] for request in registry.requests() if request.method != "PUT"}
    asked = {request.uri.rpartition("/")[2] for request in registry.blob_requests()}
    sizes = {str(blob.digest): blob.size_bytes for image in zoo().values() for blob in image.all_blobs()}
    once = registry.blob_bytes() == sum(sizes[digest] for digest in asked)
    return agents == {PUSHER, "shoal"} and once


@pytest.mark.real("docker", "registry", "busybox")
async def test_docker_pulls_through_its_registry_mirrors(scratch: Path, registry: Registry) -> None:
    await push_zoo(registry.url, "library/fish")
    async with (
        open_shoal(scratch / "shoal", registry.url) as node,
        open_docker_engine(scratch / "docker", registry_mirrors=[node.url]) as engine,
    ):
        for tag, image in zoo().items():
            await engine.pull(f"fish:{tag}")
            assert (await engine.run_image(f"fish:{tag}")).strip() == GREETING
            assert (await described(engine, f"fish:{tag}"))["RepoDigests"] == [
                f"fish@{image.manifest.digest}"
            ]
        await engine.pull("fish:index", "--platform", "linux/arm/v7")
        assert (await described(engine, "fish:index"))["Architecture"] == "arm"
    assert only_the_node_asked(registry)


async def described(engine: DockerEngine, reference: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads((await engine.docker("image", "inspect", reference)).stdout)
    return found[0]


@pytest.mark.real("containerd", "registry", "busybox")
async def test_containerd_pulls_from_two_registries_through_hosts_toml(
    scratch: Path, registry: Registry
) -> None:
    await push_zoo(registry.url, "library/fish")
    await push_zoo(registry.url, "school/fish")
    async with (
        open_shoal(scratch / "shoal", registry.url) as node,
        open_containerd(scratch / "containerd") as containerd,
    ):
        containerd.use_mirror("docker.io", node.url)
        containerd.use_mirror("_default", node.url)
        for tag, image in zoo().items():
            for name in ("docker.io/library/fish", f"{REGISTRY}/school/fish"):
                await containerd.pull(f"{name}:{tag}")
                listed = (await containerd.ctr("images", "list", f"name=={name}:{tag}")).stdout
                assert str(image.manifest.digest) in listed
                assert (await containerd.run_image(f"{name}:{tag}")).strip() == GREETING
    assert only_the_node_asked(registry)


@pytest.mark.real("podman", "registry", "busybox")
async def test_podman_pulls_from_two_registries_through_registries_conf(
    scratch: Path, registry: Registry
) -> None:
    await push_zoo(registry.url, "library/fish")
    async with open_shoal(scratch / "shoal", registry.url) as node:
        podman = Podman.in_directory(scratch / "podman", mirrors=node.mirrors("docker.io", REGISTRY))
        for tag in zoo():
            await podman.pull(f"docker.io/library/fish:{tag}")
            assert (await podman.run_image(f"docker.io/library/fish:{tag}")).strip() == GREETING
        await podman.pull(f"{REGISTRY}/library/fish:oci")
        await podman.pull("docker.io/library/fish:index", "--platform", "linux/arm64")
    assert only_the_node_asked(registry)


@pytest.mark.real("buildah", "registry", "busybox")
async def test_buildah_pulls_through_registries_conf(scratch: Path, registry: Registry) -> None:
    await push_zoo(registry.url, "library/fish")
    async with open_shoal(scratch / "shoal", registry.url) as node:
        buildah = Buildah.in_directory(scratch / "buildah", mirrors=node.mirrors("docker.io", REGISTRY))
        for name in ("docker.io/library/fish", f"{REGISTRY}/library/fish"):
            await buildah.pull(f"{name}:index")
            printed = await buildah.run_image(f"{name}:index", "/bin/echo", GREETING)
            assert printed.strip() == GREETING
    assert only_the_node_asked(registry)


@pytest.mark.real("skopeo", "registry", "busybox")
async def test_skopeo_copies_every_platform_byte_for_byte(scratch: Path, registry: Registry) -> None:
    await push_zoo(registry.url, "library/fish")
    async with open_shoal(scratch / "shoal", registry.url) as node:
        skopeo = Skopeo.in_directory(scratch / "skopeo", mirrors=node.mirrors("docker.io", REGISTRY))
        for tag, image in zoo().items():
            copy = scratch / tag
            await skopeo.copy_to_directory(f"docker.io/library/fish:{tag}", copy, "--all")
            assert (copy / "manifest.json").read_bytes() == b"".join(image.manifest.pieces())
            blobs = [blob for part in (image, *image.children) for blob in part.blobs]
            assert all(sha256_of(copy / blob.digest.hex) == blob.digest.hex for blob in blobs)
        assert len(zoo()["many"].blobs) == LAYERS_OF_MANY + 1
    assert only_the_node_asked(registry)


def sha256_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
