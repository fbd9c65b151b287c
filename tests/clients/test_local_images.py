"""What commands put into a store beside its running agent is pulled by engines from it, and from another node."""

from pathlib import Path

import pytest

from tests.clients.containerd import open_containerd
from tests.clients.docker_engine import open_docker_engine
from tests.clients.local_images import put_image
from tests.clients.podman import Podman
from tests.clients.shoal_command import ShoalCommand
from tests.clients.shoal_node import open_shoal, open_tracker
from tests.clients.test_archives import FISH, config_digest, docker_id, docker_tree, shoal_tree
from tests.clients.test_new_images import rich_root_tar
from tests.fakes.images import GREETING, random_layer, runnable_image

NOWHERE = "http://127.0.0.1:9"


@pytest.mark.real("docker", "podman", "containerd", "busybox")
async def test_loaded_imported_and_tagged_images_are_pulled_by_every_engine_from_another_node(
    scratch: Path,
) -> None:
    image = runnable_image([random_layer("one", 300_000)], kind="oci")
    source = ShoalCommand(scratch / "source")
    put_image(source.directory, image, FISH)
    await source.shoal("save", "-o", scratch / "fish.tar", "fish:1")
    async with (
        open_tracker(scratch / "tracker.log") as tracker,
        open_shoal(scratch / "one", NOWHERE, command="agent", tracker_url=tracker.url) as one,
        open_shoal(scratch / "two", NOWHERE, command="agent", tracker_url=tracker.url) as two,
        open_docker_engine(scratch / "docker") as engine,
        open_containerd(scratch / "containerd") as containerd,
    ):
        shoal = ShoalCommand(one.directory)
        await shoal.shoal("load", "-i", scratch / "fish.tar")
        await shoal.shoal("tag", "fish:1", "team/fish:2")
        await shoal.shoal("import", "-c", "CMD /none", rich_root_tar(scratch), "team/root:1")
        await engine.pull(f"{two.authority}/team/fish:2")
        assert await docker_id(engine, f"{two.authority}/team/fish:2") == config_digest(image)
        assert (await engine.run_image(f"{two.authority}/team/fish:2")).strip() == GREETING
        await engine.pull(f"{two.authority}/team/root:1")
        theirs = await docker_tree(engine, f"{two.authority}/team/root:1", scratch / "theirs.tar")
        assert theirs == await shoal_tree(shoal, "team/root:1", scratch / "ours.tar")
        podman = Podman.in_directory(scratch / "podman", insecure=(two.authority,))
        await podman.pull(f"{two.authority}/fish:1")
        await containerd.pull(f"{one.authority}/fish:1", "--plain-http")
        await shoal.shoal("rmi", "team/fish:2")
        gone = await engine.docker("pull", f"{one.authority}/team/fish:2", check=False)
        assert gone.exit_code != 0
