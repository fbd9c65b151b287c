"""Archives in every direction between the store and Docker 20.10, podman, skopeo and containerd: the same image IDs,
the same files.
"""

import json
from pathlib import Path

import pytest

from agent.content.chain_id import chain_ids
from agent.content.digest import Digest
from tests.clients.containerd import open_containerd
from tests.clients.docker_engine import DockerEngine, open_docker_engine
from tests.clients.file_tree import FileFacts, tree_of
from tests.clients.local_images import put_image
from tests.clients.podman import Podman
from tests.clients.rich_image import rich_image
from tests.clients.shoal_command import ShoalCommand
from tests.clients.skopeo import Skopeo
from tests.fakes.images import GREETING, Image, random_layer, runnable_image

FISH = "docker.io/library/fish:1"
CRAB = "docker.io/library/crab:2"


def config_digest(image: Image) -> str:
    return str(image.blobs[0].digest)


async def docker_id(engine: DockerEngine, name: str) -> str:
    return (await engine.docker("image", "inspect", "--format", "{{.Id}}", name)).stdout.strip()


async def docker_tree(engine: DockerEngine, name: str, tar: Path) -> dict[str, FileFacts]:
    container = (await engine.docker("create", name)).stdout.strip()
    await engine.docker("export", "-o", tar, container)
    await engine.docker("rm", container)
    return tree_of(tar)


async def podman_tree(podman: Podman, name: str, tar: Path) -> dict[str, FileFacts]:
    container = (await podman.podman("create", "--pull=never", name)).stdout.strip()
    await podman.podman("export", "-o", tar, container)
    await podman.podman("rm", container)
    return tree_of(tar)


async def shoal_tree(shoal: ShoalCommand, name: str, tar: Path) -> dict[str, FileFacts]:
    await shoal.shoal("export", "-o", tar, name)
    return tree_of(tar)


@pytest.mark.real("docker", "busybox")
async def test_docker_loads_what_we_save_and_we_load_what_docker_saves(scratch: Path) -> None:
    image, other = rich_image("docker"), runnable_image([random_layer("crab", 5000)], kind="oci")
    ours, again = ShoalCommand(scratch / "a"), ShoalCommand(scratch / "b")
    put_image(ours.directory, image, FISH)
    put_image(ours.directory, other, CRAB)
    await ours.shoal("save", "-o", scratch / "ours.tar", "fish:1", "crab:2")
    async with open_docker_engine(scratch / "docker") as engine:
        loaded = await engine.docker("load", "-i", scratch / "ours.tar")
        assert "Loaded image: fish:1" in loaded.stdout
        assert await docker_id(engine, "fish:1") == config_digest(image)
        assert await docker_id(engine, "crab:2") == config_digest(other)
        assert (await engine.run_image("crab:2")).strip() == GREETING
        theirs = await docker_tree(engine, "fish:1", scratch / "docker-root.tar")
        await engine.docker("save", "-o", scratch / "docker.tar", "fish:1", "crab:2")
        check_layer_db(engine, image)
    printed = (await again.shoal("load", "-i", scratch / "docker.tar")).stdout
    assert sorted(printed.splitlines()) == ["Loaded image: crab:2", "Loaded image: fish:1"]
    assert await again.image_id("fish:1") == config_digest(image)
    assert await again.image_id("crab:2") == config_digest(other)
    assert theirs == await shoal_tree(again, "fish:1", scratch / "again-root.tar")
    assert theirs == await shoal_tree(ours, "fish:1", scratch / "ours-root.tar")
    assert "tree/capable" in theirs
    assert theirs["tree/capable"].xattrs


def check_layer_db(engine: DockerEngine, image: Image) -> None:
    """Image ID, diffIDs and chain IDs in Docker's own store."""
    store = engine.directory / "data/image/overlay2"
    image_id = image.blobs[0].digest
    config = (store / "imagedb/content/sha256" / image_id.hex).read_bytes()
    assert Digest.of(config) == image_id
    diff_ids = [Digest.parse(text) for text in json.loads(config)["rootfs"]["diff_ids"]]
    for chain_id, diff_id in zip(chain_ids(diff_ids), diff_ids, strict=True):
        assert (store / "layerdb/sha256" / chain_id.hex / "diff").read_text() == str(diff_id)


@pytest.mark.real("podman", "busybox")
@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
async def test_podman_loads_what_we_save_and_we_load_what_podman_saves(scratch: Path, form: str) -> None:
    image = rich_image("oci")
    ours, again = ShoalCommand(scratch / "a"), ShoalCommand(scratch / "b")
    put_image(ours.directory, image, FISH)
    await ours.shoal("save", "-o", scratch / "ours.tar", "fish:1")
    podman = Podman.in_directory(scratch / "podman")
    await podman.podman("load", "-i", scratch / "ours.tar")
    found = (await podman.podman("image", "inspect", "--format", "{{.Id}}", FISH)).stdout.strip()
    assert f"sha256:{found}" == config_digest(image)
    theirs = await podman_tree(podman, FISH, scratch / "podman-root.tar")
    await podman.podman("save", "--format", form, "-o", scratch / "podman.tar", FISH)
    await again.shoal("load", "-i", scratch / "podman.tar")
    assert await again.image_id("fish:1") == config_digest(image)
    assert theirs == await shoal_tree(again, "fish:1", scratch / "again-root.tar")
    assert theirs == await shoal_tree(ours, "fish:1", scratch / "ours-root.tar")


@pytest.mark.real("podman", "busybox")
async def test_podman_loads_several_images_of_one_archive(scratch: Path) -> None:
    fish, crab = rich_image("docker"), runnable_image(kind="oci")
    ours = ShoalCommand(scratch / "a")
    put_image(ours.directory, fish, FISH)
    put_image(ours.directory, crab, CRAB)
    await ours.shoal("save", "-o", scratch / "ours.tar", "fish:1", "crab:2")
    podman = Podman.in_directory(scratch / "podman")
    await podman.podman("load", "-i", scratch / "ours.tar")
    # Of several images podman reads Docker's own form, and takes a name without a registry for one of this machine.
    for name, image in (("localhost/fish:1", fish), ("localhost/crab:2", crab)):
        found = (await podman.podman("image", "inspect", "--format", "{{.Id}}", name)).stdout.strip()
        assert f"sha256:{found}" == config_digest(image)


@pytest.mark.real("skopeo", "busybox")
async def test_skopeo_reads_what_we_save_byte_for_byte_and_we_load_what_it_writes(scratch: Path) -> None:
    image = rich_image("oci")
    ours = ShoalCommand(scratch / "a")
    put_image(ours.directory, image, FISH)
    await ours.shoal("save", "-o", scratch / "ours.tar", "fish:1")
    skopeo = Skopeo.in_directory(scratch / "skopeo")
    await skopeo.skopeo("copy", f"oci-archive:{scratch}/ours.tar", f"dir:{scratch}/dir")
    assert (scratch / "dir/manifest.json").read_bytes() == b"".join(image.manifest.pieces())
    await skopeo.skopeo(
        "copy", f"docker-archive:{scratch}/ours.tar:fish:1", f"docker-archive:{scratch}/one.tar:fish:1"
    )
    await skopeo.skopeo("copy", f"dir:{scratch}/dir", f"oci-archive:{scratch}/two.tar:fish:1")
    for name in ("one.tar", "two.tar"):
        again = ShoalCommand(scratch / name.removesuffix(".tar"))
        await again.shoal("load", "-i", scratch / name)
        assert await again.image_id("fish:1") == config_digest(image)
        assert await shoal_tree(again, "fish:1", scratch / "r1.tar") == await shoal_tree(
            ours, "fish:1", scratch / "r2.tar"
        )


@pytest.mark.real("containerd", "busybox")
async def test_containerd_imports_what_we_save_and_we_load_what_it_exports(scratch: Path) -> None:
    image = runnable_image([random_layer("one", 100_000)], kind="oci")
    ours, again = ShoalCommand(scratch / "a"), ShoalCommand(scratch / "b")
    put_image(ours.directory, image, FISH)
    await ours.shoal("save", "-o", scratch / "ours.tar", "fish:1")
    async with open_containerd(scratch / "containerd") as containerd:
        await containerd.ctr("images", "import", scratch / "ours.tar")
        listed = (await containerd.ctr("images", "list", f"name=={FISH}")).stdout
        assert str(image.manifest.digest) in listed
        assert (await containerd.run_image(FISH)).strip() == GREETING
        await containerd.ctr("images", "export", scratch / "theirs.tar", FISH)
    await again.shoal("load", "-i", scratch / "theirs.tar")
    assert await again.image_id("fish:1") == config_digest(image)
    found = json.loads((await again.shoal("images", "--json")).stdout)
    assert [one["digest"] for one in found] == [str(image.manifest.digest)], "the manifest is as it was"
