"""The real components by themselves, without any Shoal between: that each starts, pulls, runs an image and goes."""

import json
from pathlib import Path

import pytest

from tests.clients.buildah import Buildah
from tests.clients.command import CommandFailed, run
from tests.clients.containerd import open_containerd
from tests.clients.docker_engine import open_docker_engine
from tests.clients.podman import Podman
from tests.clients.registry import Registry, basic_auth, open_registry
from tests.clients.scratch import mounts_below
from tests.clients.skopeo import Skopeo
from tests.clients.token_server import open_token_server
from tests.clients.waiting import wait_until
from tests.fakes.images import GREETING, Image, make_image, make_index, random_layer, runnable_image
from tests.fakes.publish import push_image, write_layout


def small_image(**options: object) -> Image:
    layers = [random_layer("one", 300_000), random_layer("two", 200_000, compression="gzip")]
    return runnable_image(layers, **options)  # type: ignore[arg-type]


@pytest.mark.real("docker", "registry", "busybox")
async def test_docker_pulls_through_a_mirror_and_runs_the_image(scratch: Path, registry: Registry) -> None:
    await push_image(small_image(kind="docker"), registry.url, "library/fish", "latest")
    async with open_docker_engine(scratch / "docker", registry_mirrors=[registry.url]) as engine:
        await engine.pull("fish:latest")
        assert (await engine.run_image("fish:latest")).strip() == GREETING
        assert any(request.user_agent.startswith("docker/") for request in registry.blob_requests())
    assert engine.daemon.process.returncode == 0
    assert mounts_below(scratch) == []


@pytest.mark.real("docker", "registry", "busybox")
async def test_docker_pulls_through_a_pull_through_cache(scratch: Path, registry: Registry) -> None:
    image = small_image(kind="oci")
    await push_image(image, registry.url, "library/fish", "latest")
    async with (
        open_registry(scratch / "cache", remote_url=registry.url) as cache,
        open_docker_engine(scratch / "docker", registry_mirrors=[cache.url]) as engine,
    ):
        await engine.pull("fish")
        assert (await engine.run_image("fish")).strip() == GREETING
        assert cache.blob_bytes() == sum(blob.size_bytes for blob in image.blobs)


@pytest.mark.real("containerd", "registry", "busybox")
async def test_containerd_pulls_through_hosts_toml_and_runs_the_image(
    scratch: Path, registry: Registry
) -> None:
    await push_image(small_image(), registry.url, "library/fish", "latest")
    async with open_containerd(scratch / "containerd") as containerd:
        containerd.use_mirror("docker.io", registry.url)
        await containerd.pull("docker.io/library/fish:latest")
        assert (await containerd.run_image("docker.io/library/fish:latest")).strip() == GREETING
    assert any("ns=docker.io" in request.uri for request in registry.requests())
    assert mounts_below(scratch) == []


@pytest.mark.real("podman", "registry", "busybox")
async def test_podman_pulls_through_registries_conf_and_runs_the_image(
    scratch: Path, registry: Registry
) -> None:
    await push_image(small_image(with_media_type=False), registry.url, "mirror/library/fish", "latest")
    podman = Podman.in_directory(scratch / "podman", mirrors={"docker.io": f"{registry.authority}/mirror"})
    await podman.pull("docker.io/library/fish:latest")
    assert (await podman.run_image("docker.io/library/fish:latest")).strip() == GREETING


@pytest.mark.real("buildah", "registry", "busybox")
async def test_buildah_pulls_through_registries_conf_and_runs_the_image(
    scratch: Path, registry: Registry
) -> None:
    await push_image(small_image(), registry.url, "mirror/library/fish", "latest")
    buildah = Buildah.in_directory(scratch / "buildah", mirrors={"docker.io": f"{registry.authority}/mirror"})
    await buildah.pull("docker.io/library/fish:latest")
    printed = await buildah.run_image("docker.io/library/fish:latest", "/bin/echo", GREETING)
    assert printed.strip() == GREETING


@pytest.mark.real("skopeo", "registry", "busybox")
async def test_skopeo_copies_an_image_of_sixty_layers_byte_for_byte(
    scratch: Path, registry: Registry
) -> None:
    image = make_image([random_layer(f"layer {number}", 100 + number) for number in range(60)])
    await push_image(image, registry.url, "fish", "many")
    skopeo = Skopeo.in_directory(scratch / "skopeo", insecure=(registry.authority,))
    await skopeo.copy_to_directory(f"{registry.authority}/fish:many", scratch / "copy")
    stored = {path.name for path in (scratch / "copy").iterdir()}
    assert stored == {blob.digest.hex for blob in image.blobs} | {"manifest.json", "version"}
    assert (scratch / "copy/manifest.json").read_bytes() == b"".join(image.manifest.pieces())


@pytest.mark.real("skopeo", "registry", "busybox")
async def test_an_index_gives_each_platform_its_own_image(scratch: Path, registry: Registry) -> None:
    images = {
        f"linux/{name}": make_image([random_layer(name, 2_000)], architecture=name)
        for name in ("amd64", "arm64")
    }
    await push_image(make_index(images), registry.url, "fish", "both")
    skopeo = Skopeo.in_directory(scratch / "skopeo", insecure=(registry.authority,))
    inspect = ["inspect", f"docker://{registry.authority}/fish:both"]
    arm = json.loads((await skopeo.skopeo("--override-arch", "arm64", *inspect)).stdout)
    assert arm["Architecture"] == "arm64"


@pytest.mark.real("skopeo", "busybox")
async def test_a_written_layout_is_one_that_skopeo_reads(scratch: Path) -> None:
    image = small_image()
    write_layout(image, scratch / "layout", "fish")
    skopeo = Skopeo.in_directory(scratch / "skopeo")
    raw = await skopeo.skopeo("inspect", "--raw", f"oci:{scratch}/layout:fish")
    assert raw.stdout.encode() == b"".join(image.manifest.pieces())


@pytest.mark.real("registry", "skopeo", "busybox")
async def test_a_registry_with_passwords_refuses_who_has_none(scratch: Path) -> None:
    image = small_image()
    async with open_registry(scratch / "registry", auth="htpasswd") as registry:
        await push_image(image, registry.url, "fish", "secret", headers=basic_auth())
        skopeo = Skopeo.in_directory(scratch / "skopeo", insecure=(registry.authority,))
        with pytest.raises(CommandFailed, match=r"unauthorized|authentication required"):
            await skopeo.copy_to_layout(f"{registry.authority}/fish:secret", scratch / "a")
        await skopeo.copy_to_layout(
            f"{registry.authority}/fish:secret", scratch / "b", "--src-creds", "swimmer:letmein"
        )


@pytest.mark.real("registry", "skopeo", "busybox")
async def test_a_registry_with_tokens_sends_clients_to_the_token_server(scratch: Path) -> None:
    write_layout(small_image(), scratch / "layout", "fish")
    with open_token_server({"swimmer": "letmein"}, anonymous_pull=True) as tokens:
        async with open_registry(scratch / "registry", auth=tokens) as registry:
            skopeo = Skopeo.in_directory(scratch / "skopeo", insecure=(registry.authority,))
            target = f"docker://{registry.authority}/fish:latest"
            await skopeo.skopeo(
                "copy", "--dest-creds", "swimmer:letmein", f"oci:{scratch}/layout:fish", target
            )
            await skopeo.copy_to_layout(f"{registry.authority}/fish:latest", scratch / "out")
    *pushing, pulling = [request.user for request in tokens.requests]
    assert set(pushing) == {"swimmer"}  # one token, or one for each blob that it sends side by side
    assert pulling is None
    assert tokens.requests[-1].scopes == ("repository:fish:pull",)


@pytest.mark.real("registry", "curl")
async def test_the_registrys_log_counts_what_each_blob_cost(scratch: Path, registry: Registry) -> None:
    image = make_image([random_layer("payload", 100_000)])
    await push_image(image, registry.url, "fish", "latest")
    digest = str(image.blobs[-1].digest)
    url = f"{registry.url}/v2/fish/blobs/{digest}"
    await run("curl", "--silent", "--fail", "--output", scratch / "whole", url)
    await run("curl", "--silent", "--fail", "--range", "0-99", "--output", scratch / "part", url)
    await wait_until(lambda: len(registry.blob_requests(digest)) == 2)
    assert [(r.status, r.bytes) for r in registry.blob_requests(digest)] == [(200, 101_888), (206, 100)]
    assert registry.blob_bytes(digest) == image.blobs[-1].size_bytes + 100
