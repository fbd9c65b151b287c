"""Archives into the store: every form, and nothing of a bad one."""

import gzip
import io
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.content.digest import Digest
from agent.content.errors import ContentError, DiskError, InputError
from agent.images.catalog import Catalog
from agent.images.compression import BombLimits
from agent.images.load import Loaded, load_archive
from agent.images.save import SavedImage, save_archive
from agent.images.tar_entry import Kind, TarEntry
from agent.store.store import Store, StoreLimits
from tests.agent.images.archives import ArchivedSample, docker_members, layout_members
from tests.agent.images.test_tar import Member, file, tar


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


def load(store: Store, *members: Member, limits: BombLimits | None = None) -> list[Loaded]:
    return load_archive(store, io.BytesIO(tar(*members)).read, limits=limits or BombLimits())


def is_clean(store: Store) -> bool:
    """Nothing is here, and nothing on its way."""
    staged = [name for name in os.listdir(store.root / "staging") if "oci-layout" not in name]
    return store.complete_digests() == [] and store.images() == [] and staged == []


def saved(store: Store, *names: str) -> bytes:
    catalog, written = Catalog.of(store), io.BytesIO()
    images = [catalog.find(name).image for name in names]
    chosen = [SavedImage(one, [(one.repository, one.tag)] if one.tag else []) for one in images]
    save_archive(store, chosen, written.write)
    return written.getvalue()


def test_an_archive_of_an_older_docker_has_the_image_ids_it_was_saved_with(store: Store) -> None:
    sample = ArchivedSample()
    (loaded,) = load(store, *docker_members(sample, "team/app:1", "team/app:2"))
    assert (loaded.image_id, loaded.names) == (sample.image_id, ("team/app:1", "team/app:2"))
    for name in loaded.names:
        image = Catalog.of(store).find(name).image
        assert (str(image.repository), image.image_id, image.complete) == (
            "cluster.shoal/team/app",
            sample.image_id,
            True,
        )
    assert store.read(sample.image_id, 10_000) == sample.config


def test_a_layer_that_comes_twice_may_be_a_link_to_the_first(store: Store) -> None:
    layer = tar(file("a", b"1"))
    (loaded,) = load(store, *docker_members(ArchivedSample([layer, layer]), "app:1"))
    assert [one.digest for one in Catalog.of(store).find("app:1").image.layers] == [Digest.of(layer)] * 2
    assert loaded.names == ("app:1",)


@pytest.mark.parametrize("compress", [partial(gzip.compress, mtime=0), zstandard.ZstdCompressor().compress])
def test_compressed_layers_are_kept_as_they_are(store: Store, compress: object) -> None:
    sample = ArchivedSample()
    members = docker_members(sample, "app:1")
    packed = [
        file(entry.name, compress(data)) if entry.name.endswith("layer.tar") else (entry, data)  # type: ignore[operator]
        for entry, data in members
    ]
    (loaded,) = load(store, *packed)
    assert loaded.image_id == sample.image_id
    layers = Catalog.of(store).find("app:1").image.layers
    assert [one.digest for one in layers] == [Digest.of(compress(layer)) for layer in sample.layers]  # type: ignore[operator]


def test_a_layer_in_xz_is_kept_as_its_plain_tar(store: Store) -> None:
    import lzma

    sample = ArchivedSample()
    members = [
        file(entry.name, lzma.compress(data)) if entry.name.endswith("layer.tar") else (entry, data)
        for entry, data in docker_members(sample, "app:1")
    ]
    load(store, *members)
    layers = Catalog.of(store).find("app:1").image.layers
    assert [one.digest for one in layers] == [Digest.of(layer) for layer in sample.layers]


def test_the_archive_itself_may_be_compressed(store: Store) -> None:
    body = gzip.compress(tar(*layout_members(ArchivedSample(), "docker.io/library/app:1")))
    (loaded,) = load_archive(store, io.BytesIO(body).read)
    assert str(Catalog.of(store).find("app:1").image.repository) == "cluster.shoal/app"
    assert loaded.names == ("docker.io/library/app:1",)


def test_an_image_without_a_name_is_listed_and_found_by_its_id(store: Store) -> None:
    sample = ArchivedSample()
    (loaded,) = load(store, *docker_members(sample))
    catalog = Catalog.of(store)
    assert loaded.names == ()
    assert catalog.find(sample.image_id.short).image.image_id == sample.image_id
    assert [catalog.shown_name(image) for image in catalog.images] == ["<none>"]


def test_what_we_save_comes_back_the_same_bit_by_bit(store: Store, tmp_path: Path) -> None:
    load(store, *layout_members(ArchivedSample(), "quay.io/team/app:1"))
    load(store, *docker_members(ArchivedSample([tar(file("c", b"3"))]), "other:2"))
    body = saved(store, "quay.io/team/app:1", "other:2")
    with Store(tmp_path / "again") as again:
        loaded = load_archive(again, io.BytesIO(body).read)
        assert [one.names for one in loaded] == [("quay.io/team/app:1",), ("other:2",)]
        assert saved(again, "quay.io/team/app:1", "other:2") == body
        assert sorted(again.complete_digests()) == sorted(store.complete_digests())


def test_a_zstd_layer_is_saved_plain_as_well_for_dockers_that_know_no_zstd(
    store: Store, tmp_path: Path
) -> None:
    sample = ArchivedSample()
    members = [
        file(entry.name, zstandard.ZstdCompressor().compress(data))
        if entry.name.endswith("layer.tar")
        else (entry, data)
        for entry, data in docker_members(sample, "app:1")
    ]
    load(store, *members)
    body = saved(store, "app:1")
    assert all(layer in body for layer in sample.layers)
    with Store(tmp_path / "again") as again:
        load_archive(again, io.BytesIO(body).read)
        assert Catalog.of(again).find("app:1").image.root == Catalog.of(store).find("app:1").image.root


def test_an_image_that_was_pulled_keeps_its_manifest_when_it_is_loaded_again(store: Store) -> None:
    sample = ArchivedSample()
    (first,) = load(store, *layout_members(sample, "app:1"))
    (second,) = load(store, *docker_members(sample, "app:2"))
    assert second.root.digest == first.root.digest


def _without(members: list[Member], suffix: str) -> list[Member]:
    return [member for member in members if not member[0].name.endswith(suffix)]


def _instead(members: list[Member], suffix: str, data: bytes) -> list[Member]:
    return [file(entry.name, data) if entry.name.endswith(suffix) else (entry, old) for entry, old in members]


_SAMPLE = ArchivedSample()
_GOOD = docker_members(_SAMPLE, "app:1")
_LAYOUT = layout_members(_SAMPLE, "app:1")
_OTHER = ArchivedSample([tar(file("evil", b"!"))])
_ESCAPING = ArchivedSample([tar(file("../../etc/passwd", b"root::0:0"))])
_BAD: dict[str, tuple[list[Member], str]] = {
    "nothing": ([], "neither manifest.json nor index.json"),
    "no layer": (_without(_GOOD, "layer.tar"), "archive lacks"),
    "no config": (_without(_GOOD, f"{_SAMPLE.image_id.hex}.json"), "archive lacks"),
    "another layer": (_instead(_GOOD, "1/layer.tar", tar(file("evil", b"!"))), "config names"),
    "another config": (
        _instead(_GOOD, f"{_SAMPLE.image_id.hex}.json", _OTHER.config),
        "does not match its name",
    ),
    "too few layers": (docker_members(_SAMPLE, Layers=[]), "its config 2"),
    "a layer that is no tar": (_instead(_GOOD, "0/layer.tar", b"x" * 600), "no tar"),
    "names in a layer that escape": (docker_members(_ESCAPING, "app:1"), "outside of its root"),
    "a member that escapes": ([*_GOOD, file("../../x", b"1")], "outside of its root"),
    "an absolute member": ([*_GOOD, file("/etc/passwd", b"1")], "outside of its root"),
    "a link that escapes": (
        [*_GOOD, (TarEntry("l", Kind.SYMLINK, link_name="../../etc/passwd"), b"")],
        "outside of its root",
    ),
    "a hard link that escapes": (
        [*_GOOD, (TarEntry("l", Kind.HARD_LINK, link_name="/etc/passwd"), b"")],
        "outside of its root",
    ),
    "a device": ([*_GOOD, (TarEntry("d", Kind.BLOCK_DEVICE), b"")], "device"),
    "a member twice": ([*_GOOD, file("manifest.json", b"[]")], "twice, with different content"),
    "a blob under another name": (
        _instead(_LAYOUT, Digest.of(_SAMPLE.layers[0]).hex, b"x"),
        "does not match its name",
    ),
    "a blob under no name": ([*_LAYOUT, file("blobs/sha256/xyz", b"1")], "no blob's name"),
    "a layout without a layer": (_without(_LAYOUT, Digest.of(_SAMPLE.layers[0]).hex), "archive lacks"),
    "two stories": ([*_LAYOUT, *docker_members(_OTHER, "app:1")], "ambiguous"),
    "a manifest.json that is none": (_instead(_GOOD, "manifest.json", b"{"), "not JSON"),
    "a manifest.json that is no list": (_instead(_GOOD, "manifest.json", b"{}"), "not a list"),
    "links in a circle": (
        [
            *_instead(_GOOD, "manifest.json", b'[{"Config": "x", "Layers": []}]'),
            (TarEntry("x", Kind.SYMLINK, link_name="y"), b""),
            (TarEntry("y", Kind.SYMLINK, link_name="x"), b""),
        ],
        "too many links",
    ),
}


@pytest.mark.parametrize("case", _BAD)
def test_a_bad_archive_is_refused_with_the_reason_and_leaves_nothing(store: Store, case: str) -> None:
    members, words = _BAD[case]
    with pytest.raises(ContentError, match=words):
        load(store, *members)
    assert is_clean(store)


def test_a_name_that_is_none_is_refused_and_leaves_nothing(store: Store) -> None:
    with pytest.raises(InputError):
        load(store, *docker_members(_SAMPLE, "UPPER/case:1"))
    assert is_clean(store)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 200))
def test_a_truncated_archive_leaves_nothing(store: Store, share: int) -> None:
    body = tar(*_GOOD)
    with pytest.raises(ContentError):
        load_archive(store, io.BytesIO(body[: len(body) * share // 250]).read)
    assert is_clean(store)


def test_a_bomb_is_refused_and_leaves_nothing(store: Store) -> None:
    bomb = tar(file("zeros", bytes(4_000_000)))
    members = _instead(docker_members(ArchivedSample([bomb]), "app:1"), "0/layer.tar", gzip.compress(bomb))
    with pytest.raises(ContentError, match="bomb"):
        load(store, *members, limits=BombLimits(free_bytes=1_000_000, ratio=100))
    assert is_clean(store)


def test_an_archive_beyond_the_stores_quota_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with Store(tmp_path / "store", StoreLimits(quota_bytes=1000)) as store:
        with pytest.raises(DiskError, match="quota"):
            load(store, *_GOOD)
        assert is_clean(store)
