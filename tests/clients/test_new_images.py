"""import and commit beside the real Docker's and podman's: the same files of the same input."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agent.images.tar_entry import Kind
from tests.clients.docker_engine import open_docker_engine
from tests.clients.local_images import put_image
from tests.clients.podman import Podman
from tests.clients.rich_image import lower_members, rich_image
from tests.clients.shoal_command import ShoalCommand
from tests.clients.test_archives import FISH, docker_tree, podman_tree, shoal_tree
from tests.fakes.images import BUSYBOX

# What a container does to its files: adds, changes, removes, replaces, links, and makes of every kind.
_CHANGES = """
set -e
cd /tree
echo changed > plain
chmod 600 setuid
chown 7:8 empty
rm pipe
mkfifo other-pipe
mknod node c 1 5
mkdir -p new/deep
echo 1 > new/deep/file
ln new/deep/file new/link
ln -s deep/file new/symlink
rm -r /hidden
rm -r /opaque
mkdir /opaque
echo again > /opaque/again
rm /replaced
mkdir /replaced
touch -d '2021-02-03 04:05:06' new/deep/file
"""
_BUSYBOX = "/bb/busybox"


def shell(script: str) -> tuple[str, ...]:
    """The image has no shell that finds its tools: each line but those of the shell itself names busybox."""
    own = ("set", "cd", "echo")
    lines = [line if line.startswith(own) else f"{_BUSYBOX} {line}" for line in script.strip().splitlines()]
    return (_BUSYBOX, "sh", "-c", "\n".join(lines))


def rich_root_tar(directory: Path) -> Path:
    tar = directory / "root.tar"
    with tar.open("wb") as file:
        for entry, data in lower_members():
            file.write(entry.encode() + data + bytes(entry.padding_bytes))
        file.write(bytes(1024))
    return tar


def absolute_root_tar(scratch: Path) -> Path:
    """The same, as `tar -P` writes it."""
    tar = scratch / "absolute.tar"
    with tar.open("wb") as file:
        for entry, data in lower_members():
            link = f"/{entry.link_name}" if entry.kind is Kind.HARD_LINK else entry.link_name
            absolute = replace(entry, name=f"/{entry.name.removeprefix('./')}", link_name=link)
            file.write(absolute.encode() + data + bytes(entry.padding_bytes))
        file.write(bytes(1024))
    return tar


@pytest.mark.real("docker")
async def test_import_is_what_dockers_import_is(scratch: Path) -> None:
    tar = rich_root_tar(scratch)
    shoal = ShoalCommand(scratch / "a")
    changes = (
        "-c",
        'CMD ["/app"]',
        "-c",
        "ENV A=1 B=2",
        "-c",
        "EXPOSE 80",
        "-c",
        "LABEL a=b",
        "-c",
        "USER 5",
    )
    await shoal.shoal("import", *changes, tar, "root:1")
    async with open_docker_engine(scratch / "docker") as engine:
        await engine.docker("import", *changes, tar, "root:1")
        theirs = await docker_tree(engine, "root:1", scratch / "docker-root.tar")
        shown = json.loads((await engine.docker("image", "inspect", "root:1")).stdout)[0]
        absolute = absolute_root_tar(scratch)
        await engine.docker("import", *changes, absolute, "root:absolute")
        assert theirs == await docker_tree(engine, "root:absolute", scratch / "docker-absolute.tar")
    await shoal.shoal("import", absolute, "root:absolute")
    assert theirs == await shoal_tree(shoal, "root:absolute", scratch / "ours-absolute.tar")
    ours = json.loads((await shoal.shoal("inspect", "root:1")).stdout)[0]
    assert theirs == await shoal_tree(shoal, "root:1", scratch / "ours-root.tar")
    assert ours["RootFS"] == shown["RootFS"]
    for key in ("Comment", "Architecture", "Os"):
        assert ours[key] == shown[key]
    for key in ("Cmd", "Env", "ExposedPorts", "Labels", "User"):
        assert ours["Config"][key] == shown["Config"][key]


@pytest.mark.real("docker", "busybox")
@pytest.mark.parametrize("running", [False, True])
async def test_commit_of_a_container_is_what_dockers_commit_is(scratch: Path, running: bool) -> None:
    image = rich_image("docker")
    source = ShoalCommand(scratch / "source")
    put_image(source.directory, image, FISH)
    await source.shoal("save", "-o", scratch / "fish.tar", "fish:1")
    async with open_docker_engine(scratch / "docker") as engine:
        await engine.docker("load", "-i", scratch / "fish.tar")
        volume = ("-v", f"{BUSYBOX}:{_BUSYBOX}:ro", "--network", "none", "--name", "web")
        if running:
            await engine.docker("run", "-d", *volume, "fish:1", _BUSYBOX, "sleep", "1000")
            await engine.docker("exec", "web", *shell(_CHANGES))
        else:
            await engine.docker("run", *volume, "fish:1", *shell(_CHANGES))
        options = ("-m", "why", "-a", "me", "-c", 'CMD ["/new"]')
        await engine.docker("commit", *options, "web", "theirs:1")
        theirs = await docker_tree(engine, "theirs:1", scratch / "theirs-root.tar")
        shown = json.loads((await engine.docker("image", "inspect", "theirs:1")).stdout)[0]
        steps = (
            await engine.docker(
                "history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", "theirs:1"
            )
        ).stdout
        environment = {"DOCKER_HOST": f"unix://{engine.socket}"}
        shoal = ShoalCommand(scratch / "a", environment)
        await shoal.shoal("commit", *options, "docker:web", "ours:1")
        await engine.docker("rm", "-f", "web")
    assert theirs == await shoal_tree(shoal, "ours:1", scratch / "ours-root.tar")
    ours = json.loads((await shoal.shoal("inspect", "ours:1")).stdout)[0]
    assert ours["RootFS"]["Layers"][:-1] == shown["RootFS"]["Layers"][:-1]
    for key in ("Comment", "Author", "Architecture", "Os"):
        assert ours[key] == shown[key]
    assert ours["Config"]["Cmd"] == ["/new"]
    assert ours["Config"]["Env"] == shown["Config"]["Env"]
    history = ("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", "ours:1")
    assert (await shoal.shoal(*history)).stdout == steps


@pytest.mark.real("podman", "busybox")
async def test_commit_of_a_podman_container_is_what_podmans_commit_is(scratch: Path) -> None:
    image = rich_image("oci")
    source = ShoalCommand(scratch / "source")
    put_image(source.directory, image, FISH)
    await source.shoal("save", "-o", scratch / "fish.tar", "fish:1")
    podman = Podman.in_directory(scratch / "podman")
    await podman.podman("load", "-i", scratch / "fish.tar")
    # A runtime without a network of its own needs none of the machine.
    await podman.podman(
        "run", "--pull=never", "-v", f"{BUSYBOX}:{_BUSYBOX}:ro", "--name", "web", FISH, *shell(_CHANGES)
    )
    await podman.podman("commit", "-q", "web", "localhost/theirs:1")
    theirs = await podman_tree(podman, "localhost/theirs:1", scratch / "theirs-root.tar")
    environment = {
        "CONTAINERS_CONF": str(podman.directory / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(podman.directory / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(podman.directory / "registries.conf"),
    }
    shoal = ShoalCommand(scratch / "a", environment)
    await shoal.shoal("commit", "podman:web", "ours:1")
    await podman.podman("rm", "-f", "web")
    assert theirs == await shoal_tree(shoal, "ours:1", scratch / "ours-root.tar")
