"""copy beside skopeo: every platform of an index out of a real registry, and layouts that other tools read."""

import json
from pathlib import Path

import pytest

from tests.clients.podman import Podman
from tests.clients.registry import Registry
from tests.clients.shoal_command import ShoalCommand
from tests.clients.skopeo import Skopeo
from tests.clients.zoo import push_zoo, zoo


@pytest.mark.real("skopeo", "podman", "registry", "busybox")
async def test_an_index_is_copied_with_all_its_platforms_byte_for_byte(
    scratch: Path, registry: Registry
) -> None:
    await push_zoo(registry.url, "library/fish")
    shoal = ShoalCommand(scratch / "a", {"SHOAL_UPSTREAMS": f"docker.io={registry.url}"})
    layout = scratch / "layout"
    for tag in ("index", "list", "docker"):
        await shoal.shoal("copy", "--all", f"docker://fish:{tag}", f"oci:{layout}:{tag}")
    skopeo = Skopeo.in_directory(scratch / "skopeo")
    for tag in ("index", "list", "docker"):
        copied = scratch / tag
        await skopeo.skopeo("copy", "--all", f"oci:{layout}:{tag}", f"dir:{copied}")
        image = zoo()[tag]
        if tag == "index":  # the others are Docker's, and in OCI's form there
            assert (copied / "manifest.json").read_bytes() == b"".join(image.manifest.pieces())
        for part in (image, *image.children):
            assert all((copied / blob.digest.hex).exists() for blob in part.blobs)
    await shoal.shoal("copy", "--preserve-digests", "store:fish:list", f"oci:{layout}:as-it-is")
    kept = layout / "blobs/sha256" / zoo()["list"].manifest.digest.hex
    assert kept.read_bytes() == b"".join(zoo()["list"].manifest.pieces())
    podman = Podman.in_directory(scratch / "podman")
    await podman.podman("pull", f"oci:{layout}:docker")
    again = ShoalCommand(scratch / "b")
    await again.shoal("copy", f"oci:{layout}:index", "store:fish:all")
    (found,) = json.loads((await again.shoal("images", "--json")).stdout)
    assert found["digest"] == str(zoo()["index"].manifest.digest)
