"""Which image a text means, and what an image is called."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.content.errors import InputError, NotFound
from agent.content.reference import Reference, Repository
from agent.images.catalog import Catalog
from agent.images.names import (
    archived_name,
    given_name,
    lookup_order,
    name_for_containerd,
    name_in_archive,
    shown_name,
)
from agent.store.store import Store
from tests.agent.store.sample import ALPINE, Image, image, index_of

_CLUSTER_ALPINE = Repository.of("cluster.shoal", "alpine")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


def put(store: Store, one: Image, name: str) -> None:
    reference = Reference.parse(name)
    one.put(store, reference.repository)
    assert reference.tag is not None
    store.put_tag(reference.repository, reference.tag, one.descriptor, 1.0)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("app", "cluster.shoal/app:latest"),
        ("team/app:1", "cluster.shoal/team/app:1"),
        ("127.0.0.1:5050/team/app:1", "cluster.shoal/team/app:1"),
        ("localhost/app", "cluster.shoal/app:latest"),
        ("quay.io/team/app:1", "quay.io/team/app:1"),
        ("docker.io/alpine", "docker.io/library/alpine:latest"),
        ("cluster.shoal/app:1", "cluster.shoal/app:1"),
    ],
)
def test_a_name_that_is_given_here_is_the_clusters_unless_it_says_otherwise(text: str, full: str) -> None:
    assert str(given_name(text)) == full


@pytest.mark.parametrize("text", ["app@sha256:" + "0" * 64, "untagged", "UPPER", ""])
def test_what_cannot_be_given_as_a_name_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        given_name(text)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("alpine:3", "cluster.shoal/alpine:3"),
        ("docker.io/library/alpine:3", "cluster.shoal/alpine:3"),
        ("docker.io/grafana/loki:1", "cluster.shoal/grafana/loki:1"),
        ("quay.io/team/app:1", "quay.io/team/app:1"),
    ],
)
def test_an_archives_names_are_the_same_whichever_docker_wrote_them(text: str, full: str) -> None:
    assert str(archived_name(text)) == full


def test_names_go_into_archives_as_docker_writes_them() -> None:
    assert name_in_archive(ALPINE, "3") == "alpine:3"
    assert name_in_archive(_CLUSTER_ALPINE, "3") == "alpine:3"
    assert name_for_containerd(_CLUSTER_ALPINE, "3") == "docker.io/library/alpine:3"
    assert name_in_archive(Repository.of("quay.io", "team/app"), "1") == "quay.io/team/app:1"


def test_the_clusters_image_is_meant_before_docker_hubs() -> None:
    assert [str(one) for one in lookup_order("alpine")] == [
        "cluster.shoal/alpine:latest",
        "docker.io/library/alpine:latest",
    ]


def test_each_image_is_shown_by_the_shortest_name_that_leads_to_it() -> None:
    assert shown_name(ALPINE, {ALPINE}) == "alpine"
    assert shown_name(ALPINE, {ALPINE, _CLUSTER_ALPINE}) == "docker.io/library/alpine"
    assert shown_name(_CLUSTER_ALPINE, {ALPINE, _CLUSTER_ALPINE}) == "alpine"


def test_an_image_is_found_by_name_digest_and_id(store: Store) -> None:
    one, other = image(1), image(2)
    put(store, one, "docker.io/library/alpine:3")
    put(store, other, "cluster.shoal/alpine:3")
    catalog = Catalog.of(store)
    digest = one.descriptor.digest
    image_id = next(iter(one.parts))
    for text in (
        "docker.io/library/alpine:3",
        f"alpine@{digest}",
        str(image_id),
        image_id.short,
        digest.short,
    ):
        assert catalog.find(text).image.root.digest == digest
    assert catalog.find("alpine:3").image.root.digest == other.descriptor.digest
    assert catalog.find("alpine:3").by_name
    assert not catalog.find(image_id.short).by_name


def test_a_beginning_that_several_ids_have_means_none_of_them(store: Store) -> None:
    for seed in range(40):
        put(store, image(seed), f"docker.io/library/app:{seed}")
    with pytest.raises(InputError, match="give more of it"):
        for digit in "0123456789abcdef":
            Catalog.of(store).find(f"sha256:{digit}")


@pytest.mark.parametrize("text", ["nothing", "sha256:" + "0" * 64, "docker.io/library/alpine:4"])
def test_what_is_not_here_is_not_found(store: Store, text: str) -> None:
    with pytest.raises(NotFound, match="No such image"):
        Catalog.of(store).find(text)


def test_of_an_index_the_platform_that_is_here_is_the_image(store: Store) -> None:
    here, away = image(1), image(2)
    index = index_of({"linux/s390x": away, "linux/riscv64": here})
    here.put(store)
    put(store, index, "docker.io/library/alpine:3")
    found = Catalog.of(store).find("alpine:3").image
    assert found.root.digest == index.descriptor.digest
    assert found.manifest.digest == here.descriptor.digest
    assert found.image_id == next(iter(here.parts))


def test_an_image_whose_bytes_were_evicted_is_not_listed(store: Store) -> None:
    one = image(1)
    put(store, one, "docker.io/library/alpine:3")
    for digest, _ in store.complete_digests():
        store.remove(digest)
    assert Catalog.of(store).images == ()
