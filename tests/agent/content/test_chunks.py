"""How a blob is cut, and sets of its chunks."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.chunk_map import LARGEST_CHUNK_BYTES, SMALLEST_CHUNK_BYTES, ChunkMap
from agent.content.chunk_set import ChunkSet

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
sizes = st.integers(0, 200 * GIB) | st.integers(0, 40 * MIB)
index_sets = st.sets(st.integers(0, 300))


# ---- geometry


@given(st.integers(0, 64 * MIB))
def test_the_chunks_cover_every_byte_once_and_in_order(size: int) -> None:
    chunks = ChunkMap.of(size)
    at = 0
    for index in range(chunks.count):
        start, stop = chunks.span(index)
        assert start == at < stop
        assert chunks.length(index) == stop - start
        assert chunks.index_at(start) == chunks.index_at(stop - 1) == index
        at = stop
    assert at == size


@given(sizes)
def test_a_chunk_is_a_power_of_two_within_limits(size: int) -> None:
    chunk_bytes = ChunkMap.of(size).chunk_bytes
    assert chunk_bytes.bit_count() == 1
    assert SMALLEST_CHUNK_BYTES <= chunk_bytes <= LARGEST_CHUNK_BYTES


@given(sizes)
def test_a_blob_has_about_a_thousand_chunks_unless_limits_say_otherwise(size: int) -> None:
    chunks = ChunkMap.of(size)
    if chunks.chunk_bytes < LARGEST_CHUNK_BYTES:
        assert chunks.count <= 1025
    if chunks.chunk_bytes > 1024 * KIB:
        assert chunks.count > 500
    if chunks.chunk_bytes > SMALLEST_CHUNK_BYTES:
        assert chunks.count > 16


@given(sizes, sizes)
def test_a_larger_blob_has_no_smaller_chunks(one: int, other: int) -> None:
    small, large = sorted((one, other))
    assert ChunkMap.of(small).chunk_bytes <= ChunkMap.of(large).chunk_bytes


@pytest.mark.parametrize(
    ("size", "chunk_bytes", "count"),
    [
        (0, 64 * KIB, 0),
        (1, 64 * KIB, 1),
        (64 * KIB, 64 * KIB, 1),
        (64 * KIB + 1, 64 * KIB, 2),
        (2 * MIB, 64 * KIB, 32),
        (4 * MIB, 128 * KIB, 32),
        (16 * MIB, 512 * KIB, 32),
        (20 * MIB, 512 * KIB, 40),
        (64 * MIB, 512 * KIB, 128),
        (65 * MIB, 1 * MIB, 65),
        (256 * MIB, 1 * MIB, 256),
        (300 * MIB, 1 * MIB, 300),
        (2 * GIB, 2 * MIB, 1024),
        (4 * GIB, 4 * MIB, 1024),
        (100 * GIB, 4 * MIB, 25_600),
    ],
)
def test_the_geometry_that_every_node_agrees_on(size: int, chunk_bytes: int, count: int) -> None:
    """Changing a line of this table takes a new version of the protocol."""
    assert (ChunkMap.of(size).chunk_bytes, ChunkMap.of(size).count) == (chunk_bytes, count)


def test_there_is_no_chunk_outside_the_blob() -> None:
    for index in (-1, 2):
        with pytest.raises(IndexError, match=f"chunk {index} of 2"):
            ChunkMap.of(100 * KIB).span(index)
    with pytest.raises(IndexError):
        ChunkMap.of(0).span(0)


# ---- sets


@given(index_sets, index_sets)
def test_the_operators_are_those_of_sets(one: set[int], other: set[int]) -> None:
    a, b = ChunkSet.of(one), ChunkSet.of(other)
    assert set(a | b) == one | other
    assert set(a & b) == one & other
    assert set(a - b) == one - other
    assert (a == b) == (one == other)
    assert len(a) == len(one)
    assert bool(a) == bool(one)
    assert list(a) == sorted(one)


@given(index_sets, st.integers(0, 310))
def test_adding_discarding_and_asking_are_those_of_sets(members: set[int], index: int) -> None:
    chunks = ChunkSet.of(members)
    assert (index in chunks) == (index in members)
    assert set(chunks.add(index)) == members | {index}
    assert set(chunks.discard(index)) == members - {index}
    assert -1 not in chunks
    assert chunks.first_missing(index) == min(set(range(index, 700)) - members)


@given(index_sets)
def test_a_set_survives_the_wire(members: set[int]) -> None:
    chunks = ChunkSet.of(members)
    count = max(members, default=-1) + 1
    assert ChunkSet.from_bytes(chunks.to_bytes(), count) == chunks
    assert ChunkSet.from_bytes(chunks.to_bytes() + b"\0\0", count) == chunks
    if members:
        with pytest.raises(ValueError, match=f"chunk {count - 1} of {count - 1}"):
            ChunkSet.from_bytes(chunks.to_bytes(), count - 1)


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_run_is_a_range(start: int, stop: int) -> None:
    assert list(ChunkSet.run(start, stop)) == list(range(start, stop))
    assert ChunkSet.full(stop) == ChunkSet.run(0, stop)


@pytest.mark.parametrize("members", [[-1], [*range(20), -1]])
def test_there_are_no_negative_chunks(members: list[int]) -> None:
    with pytest.raises(ValueError):
        ChunkSet.of(members)


def test_a_large_hostile_list_costs_no_seconds() -> None:
    """One frame of indices near the end of the largest blob; bit by bit it would copy 2 MiB for each."""
    began = time.process_time()
    chunks = ChunkSet.of(range((1 << 24) - 8000, 1 << 24))
    assert sum(1 for _ in chunks) == 8000
    assert time.process_time() - began < 2.0
