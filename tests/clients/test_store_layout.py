"""Tools that read OCI layouts read the store's own directory, beside the running store."""

import json
from pathlib import Path

import pytest

from agent.content.document import Descriptor, parse_document
from agent.content.reference import Repository
from agent.store.store import Store
from tests.clients.command import CommandFailed
from tests.clients.podman import Podman
from tests.clients.skopeo import Skopeo
from tests.fakes.images import Image, make_index, random_layer, runnable_image

FISH = Repository.of("docker.io", "fish")
REFERENCE = "docker.io/library/fish:latest"


def put(store: Store, image: Image) -> Descriptor:
    """What a pull leaves in the store, the tag apart."""
    body = b"".join(image.manifest.pieces())
    descriptor = Descriptor(image.media_type, image.manifest.digest, len(body))
    store.put(image.manifest.digest, body)
    store.put_document(FISH, descriptor, parse_document(body).children)
    for blob in image.blobs:
        store.put(blob.digest, b"".join(blob.pieces()))
    return descriptor


@pytest.mark.real("skopeo", "podman", "busybox")
async def test_skopeo_and_podman_read_a_tagged_image_from_the_store(scratch: Path) -> None:
    image = runnable_image([random_layer("one", 100_000)], kind="oci")
    with Store(scratch / "store") as store:
        store.put_tag(FISH, "latest", put(store, image), 1.0)
        store.publish_layout()
        skopeo = Skopeo.in_directory(scratch / "skopeo")
        output = await skopeo.skopeo("inspect", f"oci:{store.root}:{REFERENCE}")
        assert json.loads(output.stdout)["Digest"] == str(image.manifest.digest)
        podman = Podman.in_directory(scratch / "podman")
        await podman.podman("pull", f"oci:{store.root}:{REFERENCE}")


@pytest.mark.real("skopeo", "busybox")
async def test_skopeo_reads_the_platform_of_an_index_that_is_here(scratch: Path) -> None:
    image = runnable_image([random_layer("one", 100_000)], kind="oci")
    other = runnable_image([random_layer("two", 100)], kind="oci")
    index = make_index({"linux/amd64": image, "linux/arm64": other}, kind="oci")
    with Store(scratch / "store") as store:
        store.put_tag(FISH, "latest", put(store, index), 1.0)
        skopeo = Skopeo.in_directory(scratch / "skopeo")
        with pytest.raises(CommandFailed):
            await skopeo.skopeo("inspect", f"oci:{store.root}:{REFERENCE}")
        put(store, image)
        store.publish_layout()
        await skopeo.skopeo("copy", f"oci:{store.root}:{REFERENCE}", f"dir:{scratch / 'copy'}")
        assert (scratch / "copy" / "manifest.json").read_bytes() == b"".join(image.manifest.pieces())
