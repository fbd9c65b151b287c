"""A layer of 2 GB comes in from the registry and goes out to a client while the node stays small."""

from pathlib import Path

import pytest

from tests.clients.containerd import open_containerd
from tests.clients.registry import Registry
from tests.clients.shoal_node import open_shoal
from tests.clients.waiting import wait_until
from tests.fakes.images import GREETING, random_layer, runnable_image
from tests.fakes.publish import push_image

PAYLOAD_BYTES = 2_000_000_000
MIB = 1024 * 1024
IDLE_BYTES, BUSY_BYTES, SETTLE_SECONDS = 60 * MIB, 150 * MIB, 30
REFERENCE = "docker.io/library/whale:latest"


@pytest.mark.real("containerd", "registry", "busybox")
async def test_a_layer_of_two_gigabytes_passes_through_a_node_that_stays_small(
    scratch: Path, registry: Registry
) -> None:
    image = runnable_image([random_layer("whale", PAYLOAD_BYTES)])
    await push_image(image, registry.url, "library/whale", "latest")
    async with (
        open_shoal(scratch / "shoal", registry.url) as node,
        open_containerd(scratch / "containerd") as containerd,
    ):
        idle_bytes = node.resident_bytes()
        containerd.use_mirror("docker.io", node.url)
        await containerd.pull(REFERENCE, deadline_seconds=240)
        assert (await containerd.run_image(REFERENCE)).strip() == GREETING
        busy_bytes = node.peak_resident_bytes()
        assert registry.blob_bytes() == sum(blob.size_bytes for blob in image.blobs)
        await wait_until(lambda: node.resident_bytes() <= IDLE_BYTES, SETTLE_SECONDS)
        after_bytes = node.resident_bytes()
    before, most, after = (round(count / MIB, 1) for count in (idle_bytes, busy_bytes, after_bytes))
    print(f"{before} MiB before, {most} MiB at most, {after} MiB afterwards")
    assert idle_bytes <= IDLE_BYTES
    assert busy_bytes <= BUSY_BYTES
