"""Real clients push to one node and pull from another: no registry runs, the tracker and the swarm are all there is."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.clients.buildah import Buildah
from tests.clients.command import run
from tests.clients.containerd import open_containerd
from tests.clients.docker_engine import open_docker_engine
from tests.clients.podman import Podman
from tests.clients.shoal_node import ShoalNode, open_shoal, open_tracker
from tests.clients.skopeo import Skopeo
from tests.clients.zoo import zoo
from tests.fakes.images import GREETING, Image, make_image, random_layer, runnable_image
from tests.fakes.publish import push_image, write_layout

NOBODY = "http://127.0.0.1:1"
PLAIN = "--dest-tls-verify=false"
MIB = 1024 * 1024
LARGE_BYTES = 4_000_000_000
BUSY_BYTES = 150 * MIB


@asynccontextmanager
async def open_pair(scratch: Path, **settings: str) -> AsyncIterator[tuple[ShoalNode, ShoalNode]]:
    """Two agents and their tracker."""
    async with AsyncExitStack() as stack:
        tracker = await stack.enter_async_context(open_tracker(scratch / "tracker.log"))
        one, two = [
            await stack.enter_async_context(
                open_shoal(scratch / name, NOBODY, command="agent", tracker_url=tracker.url, **settings)
            )
            for name in ("one", "two")
        ]
        yield one, two


def layouts(scratch: Path) -> Path:
    """All of the zoo in one OCI layout each."""
    for tag, image in zoo().items():
        write_layout(image, scratch / "zoo" / tag, tag)
    return scratch / "zoo"


async def copied(skopeo: Skopeo, reference: str, copy: Path) -> bytes:
    """The manifest's bytes, all platforms fetched."""
    await skopeo.copy_to_directory(reference, copy, "--all", "--src-tls-verify=false")
    return (copy / "manifest.json").read_bytes()


@pytest.mark.real("skopeo", "busybox")
async def test_skopeo_copies_every_kind_of_image_to_one_node_and_from_another(scratch: Path) -> None:
    skopeo = Skopeo.in_directory(scratch / "skopeo")
    zoo_directory = layouts(scratch)
    async with open_pair(scratch) as (one, two):
        for tag, image in zoo().items():
            source, target = f"oci:{zoo_directory / tag}:{tag}", f"docker://{one.authority}/school/fish:{tag}"
            if any("docker" in media_type for media_type in media_types(image)):
                await push_image(image, one.url, "school/fish", tag)  # no OCI layout to skopeo 1.9
            else:
                await skopeo.skopeo("copy", "--all", "--preserve-digests", PLAIN, source, target)
            manifest = await copied(skopeo, f"{two.authority}/school/fish:{tag}", scratch / f"copy-{tag}")
            assert manifest == b"".join(image.manifest.pieces())
        listed = json.loads(
            (
                await skopeo.skopeo(
                    "list-tags", "--tls-verify=false", f"docker://{two.authority}/school/fish"
                )
            ).stdout
        )
        assert sorted(listed["Tags"]) == sorted(zoo())


def media_types(image: Image) -> list[str]:
    return [image.media_type, *(child.media_type for child in image.children)]


@pytest.mark.real("docker", "busybox")
async def test_docker_pushes_to_one_node_and_pulls_from_another(scratch: Path) -> None:
    async with open_pair(scratch) as (one, two), open_docker_engine(scratch / "docker") as engine:
        await push_image(zoo()["docker"], one.url, "school/fish", "docker")
        await engine.pull(f"{two.authority}/school/fish:docker")
        name = "team/deep/app"
        await engine.docker("tag", f"{two.authority}/school/fish:docker", f"{one.authority}/{name}:1")
        pushed = (await engine.docker("push", f"{one.authority}/{name}:1")).stdout
        assert "digest: sha256:" in pushed
        identity = (
            await engine.docker("image", "inspect", "-f", "{{.Id}}", f"{one.authority}/{name}:1")
        ).stdout
        await engine.docker("rmi", "-f", identity.strip())
        await engine.pull(f"{two.authority}/{name}:1")
        again = (await engine.docker("image", "inspect", "-f", "{{.Id}}", f"{two.authority}/{name}:1")).stdout
        assert again == identity
        assert (await engine.run_image(f"{two.authority}/{name}:1")).strip() == GREETING
        # What is imported has layers that no registry ever had: Docker compresses them on the way.
        refused = await engine.docker("tag", identity.strip(), f"{one.authority}/library/app:1", check=False)
        assert refused.exit_code == 0
        refused = await engine.docker("push", f"{one.authority}/library/app:1", check=False)
        assert refused.exit_code != 0
        assert "denied" in refused.stderr


@pytest.mark.real("podman", "busybox")
async def test_podman_pushes_to_one_node_and_pulls_from_another(scratch: Path) -> None:
    async with open_pair(scratch) as (one, two):
        await push_image(zoo()["oci"], one.url, "school/fish", "oci")
        podman = Podman.in_directory(scratch / "podman", insecure=(one.authority, two.authority))
        await podman.pull(f"{two.authority}/school/fish:oci")
        await podman.podman("tag", f"{two.authority}/school/fish:oci", f"{one.authority}/team/app:1")
        await podman.podman("push", f"{one.authority}/team/app:1")
        await podman.podman("rmi", "-a", "-f")
        await podman.pull(f"{two.authority}/team/app:1")
        assert (await podman.run_image(f"{two.authority}/team/app:1")).strip() == GREETING


@pytest.mark.real("buildah", "busybox")
async def test_buildah_pushes_to_one_node_and_pulls_from_another(scratch: Path) -> None:
    async with open_pair(scratch) as (one, two):
        await push_image(zoo()["oci"], one.url, "school/fish", "oci")
        buildah = Buildah.in_directory(scratch / "buildah", insecure=(one.authority, two.authority))
        container = (await buildah.buildah("from", f"{two.authority}/school/fish:oci")).stdout.strip()
        (scratch / "note").write_text("made here")
        await buildah.buildah("copy", container, scratch / "note", "/note")
        await buildah.buildah(
            "commit", "--tls-verify=false", container, f"docker://{one.authority}/team/app:1"
        )
        await buildah.buildah("rm", container)
        await buildah.buildah(
            "push", f"{two.authority}/school/fish:oci", f"docker://{one.authority}/team/app:2"
        )
        await buildah.buildah("rmi", "-a", "-f")
        for tag in ("1", "2"):
            await buildah.pull(f"{two.authority}/team/app:{tag}")
        printed = await buildah.run_image(f"{two.authority}/team/app:1", "/bin/cat", "/note")
        assert printed == "made here"


@pytest.mark.real("containerd", "busybox")
async def test_containerd_pushes_to_one_node_and_pulls_from_another(scratch: Path) -> None:
    async with open_pair(scratch) as (one, two), open_containerd(scratch / "containerd") as containerd:
        for tag in ("oci", "index"):
            await push_image(zoo()[tag], one.url, "school/fish", tag)
            source, target = f"{two.authority}/school/fish:{tag}", f"{one.authority}/team/app:{tag}"
            await containerd.ctr("images", "pull", "--plain-http", "--all-platforms", source)
            await containerd.ctr("images", "tag", source, target)
            await containerd.ctr("images", "push", "--plain-http", target)
            await containerd.ctr("images", "remove", "--sync", source, target)
            again = f"{two.authority}/team/app:{tag}"
            await containerd.ctr("images", "pull", "--plain-http", again)
            listed = (await containerd.ctr("images", "list", f"name=={again}")).stdout
            assert str(zoo()[tag].manifest.digest) in listed
            assert (await containerd.run_image(again)).strip() == GREETING


@pytest.mark.real("skopeo", "busybox")
async def test_a_hundred_tags_and_an_artifact_with_its_subject(scratch: Path) -> None:
    image = runnable_image([random_layer("tagged", 10_000)])
    async with open_pair(scratch) as (one, two), httpx.AsyncClient(base_url=two.url) as client:
        for number in range(100):
            await push_image(image, one.url, "team/app", f"v{number}")
        tags, path = [], "/v2/team/app/tags/list?n=30"
        while path:
            answer = await client.get(path)
            tags += answer.json()["tags"]
            path = answer.links["next"]["url"] if "next" in answer.links else ""
        assert sorted(tags) == sorted(f"v{number}" for number in range(100))
        artifact = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.example.sbom",
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": EMPTY_DIGEST},
            "layers": [],
            "subject": {
                "mediaType": image.media_type,
                "digest": str(image.manifest.digest),
                "size": image.manifest.size_bytes,
            },
        }
        async with httpx.AsyncClient(base_url=one.url) as pusher:
            empty = await pusher.post(f"/v2/team/app/blobs/uploads/?digest={EMPTY_DIGEST}", content=b"{}")
            assert empty.status_code == 201
            answer = await pusher.put("/v2/team/app/manifests/sbom", content=json.dumps(artifact))
            assert answer.headers["oci-subject"] == str(image.manifest.digest)
        found = (await client.get(f"/v2/team/app/referrers/{image.manifest.digest}")).json()["manifests"]
        assert [entry["artifactType"] for entry in found] == ["application/vnd.example.sbom"]
        assert (await client.get(f"/v2/team/app/manifests/{found[0]['digest']}")).json() == artifact


EMPTY_DIGEST = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.real("curl")
@pytest.mark.timeout(600)
async def test_a_layer_of_four_gigabytes_passes_through_two_nodes_that_stay_small(scratch: Path) -> None:
    image = make_image([random_layer("whale", LARGE_BYTES)])
    layer = image.blobs[1] if image.blobs[1].size_bytes > LARGE_BYTES else image.blobs[0]
    async with open_pair(scratch) as (one, two):
        await push_image(image, one.url, "team/whale", "1")
        assert (await two.pull("cluster.shoal/team/whale:1", deadline_seconds=300))["outcome"] == "done"
        fetched = await run(
            "curl", "-sf", "-o", "/dev/null", "-w", "%{size_download}",
            f"{two.url}/v2/team/whale/blobs/{layer.digest}", deadline_seconds=120,
        )  # fmt: skip
        assert int(fetched.stdout) == layer.size_bytes
        assert two.blob_sha256(layer.digest) == layer.digest.hex
        peaks = [round(node.peak_resident_bytes() / MIB, 1) for node in (one, two)]
    print(f"{peaks} MiB at most")
    assert max(peaks) * MIB <= BUSY_BYTES
