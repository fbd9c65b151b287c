"""The makers of images keep to what they say: sizes, digests, and the same bytes every time."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.digest import Digest
from tests.fakes.images import Layer, file_layer, make_image, make_index, pseudo_random, random_layer
from tests.fakes.publish import write_layout


def content(layer: Layer) -> bytes:
    return b"".join(layer.blob.pieces())


@given(st.integers(min_value=0, max_value=3_000_000))
def test_a_plain_layer_is_its_payload_rounded_up_and_three_blocks(payload_bytes: int) -> None:
    layer = random_layer("seed", payload_bytes)
    assert layer.blob.size_bytes == -(-payload_bytes // 512) * 512 + 1536


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_layers_digests_are_those_of_its_bytes(compression: str) -> None:
    layer = random_layer("seed", 100_000, compression=compression)  # type: ignore[arg-type]
    blob = content(layer)
    tar = gzip.decompress(blob) if compression == "gzip" else blob
    assert (layer.blob.digest, layer.blob.size_bytes) == (Digest.of(blob), len(blob))
    assert layer.diff_id == Digest.of(tar)


def test_a_layer_is_a_tar_that_others_read() -> None:
    files = {"etc/motd": b"hello", "data/empty": b""}
    with tarfile.open(fileobj=io.BytesIO(content(file_layer(files)))) as tar:
        read = {name: tar.extractfile(name) for name in tar.getnames()}
        assert {name: file.read() for name, file in read.items() if file} == files


def test_the_key_stream_is_the_same_everywhere_and_differs_by_seed() -> None:
    whole = hashlib.sha256(b"".join(pseudo_random("seed", 1_500_000))).hexdigest()
    assert whole == "425e9857483be5e84bd497878af6bc8d81b2d3ac4130f1502459daeee1607d21"
    assert next(pseudo_random("a", 10)) != next(pseudo_random("b", 10))


def test_a_manifest_may_come_without_its_media_type() -> None:
    image = make_image([random_layer("seed", 10)], with_media_type=False)
    assert "mediaType" not in json.loads(b"".join(image.manifest.pieces()))


def test_an_index_counts_what_its_images_share_once() -> None:
    shared = random_layer("shared", 10_000)
    images = {f"linux/{name}": make_image([shared], architecture=name) for name in ("amd64", "arm64")}
    alone = [image.size_bytes for image in images.values()]
    index = make_index(images)
    assert index.size_bytes == sum(alone) - shared.blob.size_bytes + index.manifest.size_bytes


def test_a_layout_holds_every_blob_under_its_digest(tmp_path: Path) -> None:
    image = make_image([random_layer("one", 1_000), random_layer("two", 2_000)])
    write_layout(image, tmp_path, "latest")
    for blob in image.all_blobs():
        assert Digest.of((tmp_path / "blobs/sha256" / blob.digest.hex).read_bytes()) == blob.digest
