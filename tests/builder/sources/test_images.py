"""Where base images come from: this store first, for the platform that is asked for; the swarm else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import InputError, NotFound, SourceError
from agent.content.platform import Platform
from agent.content.reference import Reference
from agent.images.keeping import keep_image
from agent.images.names import given_name
from agent.store.store import Store
from builder.plan.options import ImageRequest
from builder.sources.images import ImageSource
from tests.builder.building import AMD64, put_image, tar_of

ARM64 = Platform("linux", "arm64")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as opened:
        yield opened


class Registry:
    """Has `images`: names of Docker Hub, which a pull puts into the store."""

    def __init__(self, store: Store, *images: str, down: bool = False) -> None:
        self.store, self.images, self.down = store, images, down
        self.asked: list[str] = []

    async def pull(self, reference: Reference, platform: Platform) -> None:
        self.asked.append(str(reference))
        if self.down:
            raise SourceError("the registry cannot be reached")
        if str(reference) not in self.images:
            raise NotFound(f"there is no image {reference}")
        root = put_image(self.store, "fetched:1", platform)
        with self.store.holding([root.digest]):
            keep_image(self.store, root, reference, 1.0)


def put_index(store: Store, name: str, *platforms: Platform) -> None:
    manifests = []
    for platform in platforms:
        root = put_image(store, f"part/{platform.architecture}:1", platform)
        told = {"architecture": platform.architecture, "os": platform.os}
        manifests.append(
            {"mediaType": root.media_type, "digest": str(root.digest), "size": root.size, "platform": told}
        )
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": manifests}
    body = json.dumps(document).encode()
    index = Descriptor(media_types.OCI_INDEX, Digest.of(body), len(body))
    with store.holding([index.digest]):
        store.put(index.digest, body)
        keep_image(store, index, given_name(name), 0.0)


def layer_of(store: Store, root: Descriptor) -> Digest:
    manifest = store.read(root.digest, 1 << 20)
    assert manifest is not None
    return Digest.parse(json.loads(manifest)["layers"][0]["digest"])


async def test_what_is_here_is_taken_and_nobody_is_asked(store: Store) -> None:
    root = put_image(store, "team/base:1", Env=["A=b"])
    registry = Registry(store, down=True)
    found = await ImageSource(store, registry.pull).find(ImageRequest("team/base:1", AMD64))
    assert found.digest == root.digest
    assert found.layers[0].diff_id == found.config.diff_ids[0]
    assert registry.asked == []


async def test_of_an_index_the_platform_is_taken(store: Store) -> None:
    put_index(store, "team/base:1", AMD64, ARM64)
    source = ImageSource(store, Registry(store).pull)
    for platform in (AMD64, ARM64):
        assert (await source.find(ImageRequest("team/base:1", platform))).platform == platform
    with pytest.raises(NotFound):
        await source.find(ImageRequest("team/base:1", Platform("linux", "riscv64")))


async def test_what_is_not_here_is_pulled_the_cluster_s_own_name_first(store: Store) -> None:
    registry = Registry(store, "docker.io/library/alpine:3")
    await ImageSource(store, registry.pull).find(ImageRequest("alpine:3", AMD64))
    assert registry.asked == ["cluster.shoal/alpine:3", "docker.io/library/alpine:3"]


async def test_pull_asks_anew_and_keeps_the_cluster_s_own_that_nobody_else_has(store: Store) -> None:
    root = put_image(store, "team/base:1")
    registry = Registry(store)
    source = ImageSource(store, registry.pull, always_pull=True)
    assert (await source.find(ImageRequest("team/base:1", AMD64))).digest == root.digest
    assert registry.asked
    with pytest.raises(SourceError):
        down = Registry(store, down=True)
        await ImageSource(store, down.pull, always_pull=True).find(ImageRequest("team/base:1", AMD64))


async def test_an_image_for_another_machine_says_for_which(store: Store) -> None:
    put_image(store, "docker.io/library/other:1", ARM64)

    async def pull(reference: Reference, platform: Platform) -> None:
        if "docker.io" not in str(reference):
            raise NotFound("no")

    source = ImageSource(store, pull)
    with pytest.raises(NotFound, match="other:1 is no image for linux/amd64"):
        await source.find(ImageRequest("other:1", AMD64))
    assert source.platforms_here("other:1") == [ARM64]


async def test_what_is_no_name_or_nowhere_is_said(store: Store) -> None:
    source = ImageSource(store, Registry(store).pull)
    with pytest.raises(InputError):
        await source.find(ImageRequest("Not A Name", AMD64))
    with pytest.raises(NotFound, match="no image"):
        await source.find(ImageRequest("none:1", AMD64))


async def test_an_image_whose_layer_is_gone_is_pulled_again(store: Store) -> None:
    digest = layer_of(store, put_image(store, "docker.io/library/alpine:3"))
    (store.root / "blobs/sha256" / digest.hex).unlink()
    registry = Registry(store, "docker.io/library/alpine:3")
    await ImageSource(store, registry.pull).find(ImageRequest("alpine:3", AMD64))
    assert registry.asked


async def test_what_is_named_here_and_broken_is_never_another_image_of_that_name(store: Store) -> None:
    root = put_image(store, "alpine:3")
    digest = layer_of(store, root)
    (store.root / "blobs/sha256" / digest.hex).unlink()
    registry = Registry(store, "docker.io/library/alpine:3")
    with pytest.raises(NotFound, match=f"{digest} of it is not in the store.*`shoal store repair`"):
        await ImageSource(store, registry.pull).find(ImageRequest("alpine:3", AMD64))
    assert registry.asked == ["cluster.shoal/alpine:3"]
    store.put(digest, tar_of({"etc/who": b"alpine:3"}))
    assert (
        await ImageSource(store, registry.pull).find(ImageRequest("alpine:3", AMD64))
    ).digest == root.digest
