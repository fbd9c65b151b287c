"""The same tar gives the same blob, whatever the cores and however it is handed over; others can read it."""

import gzip
import random
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.images.stored_blob import stored_layer
from agent.store.store import Store
from builder.layers.layer_output import LayerOutput
from builder.layers.recipes import LayerCompression, Recipe, recipe_for
from builder.plan.layer import Layer

SAMPLE = random.Random(7).randbytes(700_000) + b"words and words " * 400_000


def blob_of(store: Store, data: bytes, recipe: Recipe, piece_bytes: int = 300_000) -> tuple[Layer, bytes]:
    with store.staging() as staging, LayerOutput(staging.new(), recipe) as output:
        for at in range(0, len(data), piece_bytes):
            output.write(data[at : at + piece_bytes])
        layer = output.finish()
    return layer, store.read(layer.blob.digest, 1 << 30) or b""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_blob_has_the_digests_that_its_layer_says(store: Store, compression: LayerCompression) -> None:
    layer, blob = blob_of(store, SAMPLE, recipe_for(compression))
    assert (layer.blob.digest, layer.blob.size) == (Digest.of(blob), len(blob))
    assert (layer.diff_id, layer.plain_bytes) == (Digest.of(SAMPLE), len(SAMPLE))
    assert b"".join(stored_layer(store, layer.blob.digest)) == SAMPLE


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_how_the_tar_is_handed_over_makes_no_difference(store: Store, compression: LayerCompression) -> None:
    recipe = recipe_for(compression)
    assert len({blob_of(store, SAMPLE, recipe, size)[0] for size in (100_000, 1 << 20, len(SAMPLE))}) == 1


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 4 << 20, (4 << 20) + 1])
def test_other_decoders_read_what_is_around_the_edges_of_blocks(store: Store, size: int) -> None:
    data = SAMPLE[:size]
    gzipped = blob_of(store, data, recipe_for("gzip"))[1]
    assert gzip.decompress(gzipped) == data
    assert zlib.decompress(gzipped, wbits=31) == data  # one member, as old readers want it
    frames = blob_of(store, data, recipe_for("zstd"))[1]
    assert zstandard.ZstdDecompressor().stream_reader(frames, read_across_frames=True).read() == data


@given(st.binary(max_size=3000), st.binary(max_size=3000), st.integers(1, 9))
def test_a_block_is_read_with_the_one_before_it(before: bytes, block: bytes, level: int) -> None:
    recipe = recipe_for("gzip", level)
    first = recipe.encode(before, b"", is_last=False)
    last = recipe.encode(block, before, is_last=True)
    assert zlib.decompress(first + last, wbits=-15) == before + block


def test_a_recipe_says_how_the_bytes_come_again() -> None:
    assert str(recipe_for("gzip")).startswith('{"library":"zlib-ng","version":"')
    assert str(recipe_for("zstd", 5)).endswith('"level":5,"mode":"zstd in blocks of 4194304"}')
    assert str(recipe_for("gzip", 1)) != str(recipe_for("gzip", 2))


def test_a_level_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(InputError, match="expected 1 to 9"):
        recipe_for("gzip", 10)


def test_an_output_that_is_left_early_leaves_nothing(store: Store) -> None:
    with store.staging() as staging, LayerOutput(staging.new(), recipe_for("gzip")) as output:
        output.write(SAMPLE)
    assert store.complete_digests() == []
