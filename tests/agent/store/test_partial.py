import os
import threading
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.content.chunk_set import ChunkSet
from agent.content.digest import Digest
from agent.content.errors import ContentError, DiskError
from agent.store.store import PartialBlob, Store
from tests.agent.store.conftest import Clock
from tests.agent.store.sample import KIB, blob, chunk, fill

SIZE = 5 * 64 * KIB + 10
DIGEST, DATA = blob(SIZE)
per_example = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def partial(store: Store) -> PartialBlob:
    return store.open_partial(DIGEST, SIZE)


def test_chunks_written_in_order_become_a_blob(store: Store, partial: PartialBlob, root: Path) -> None:
    fill(partial, DATA)
    assert partial.have == ChunkSet.full(6)
    assert store.size_of(DIGEST) is None
    partial.commit()
    assert store.size_of(DIGEST) == SIZE
    assert os.pread(partial.fd, SIZE, 0) == DATA
    assert not list((root / "partial").iterdir())
    assert store.chunk_digests(DIGEST) == [blake3(chunk(partial, DATA, n)).digest() for n in range(6)]
    partial.commit()
    partial.close()


@per_example
@given(
    order=st.permutations(range(6)),
    catch_up=st.integers(0, 5),
    algorithm=st.sampled_from(["sha256", "sha512"]),
)
def test_chunks_in_any_order_become_the_same_blob(
    store: Store, order: list[int], catch_up: int, algorithm: str
) -> None:
    digest = Digest.of(DATA, algorithm)
    store.remove(digest)
    with store.open_partial(digest, SIZE) as partial:
        for position, index in enumerate(order):
            data = chunk(partial, DATA, index)
            assert partial.write_chunk(index, data, blake3(data).digest()) == partial.chunk_digest(index)
            if position == catch_up:
                while partial.hash_prefix(1):
                    pass
        partial.commit()
    assert store.read(digest, SIZE) == DATA


def test_the_prefix_is_hashed_by_portions(partial: PartialBlob) -> None:
    fill(partial, DATA, [5, 4, 3, 2, 1, 0])
    turns = 1
    while partial.hash_prefix(128 * KIB):
        turns += 1
    assert turns == 3  # the first chunk was hashed as it was written, five were left
    partial.commit()
    partial.close()


def test_a_chunk_that_does_not_match_is_not_written(partial: PartialBlob) -> None:
    with pytest.raises(ContentError, match=r"chunk 1 of sha256:.* does not match its BLAKE3"):
        partial.write_chunk(1, chunk(partial, DATA, 1), bytes(32))
    assert 1 not in partial.have
    assert partial.chunk_digest(1) is None
    assert os.pread(partial.fd, 10, 64 * KIB) == bytes(10)
    partial.close()


@pytest.mark.parametrize("length", [0, 64 * KIB - 1, 64 * KIB + 1])
def test_a_chunk_of_another_length_is_refused(partial: PartialBlob, length: int) -> None:
    with pytest.raises(ContentError, match="expected 65536"):
        partial.write_chunk(0, bytes(length), None)
    partial.close()


def test_a_chunk_outside_the_blob_is_a_mistake_of_the_caller(partial: PartialBlob) -> None:
    for index in (-1, 6):
        with pytest.raises(IndexError):
            partial.write_chunk(index, b"", None)
    partial.close()


def test_a_chunk_that_is_had_is_not_written_again(partial: PartialBlob) -> None:
    fill(partial, DATA, [0])
    assert partial.write_chunk(0, chunk(partial, DATA, 0), None) == partial.chunk_digest(0)
    with pytest.raises(ContentError, match="here already, with other bytes"):
        partial.write_chunk(0, bytes(64 * KIB), None)
    assert os.pread(partial.fd, 10, 0) == DATA[:10]
    partial.close()


def test_an_incomplete_blob_is_not_committed(partial: PartialBlob) -> None:
    fill(partial, DATA, [0, 1, 3])
    with pytest.raises(ContentError, match="incomplete: 3 of 6 chunks are missing"):
        partial.commit()
    partial.close()


def test_a_blob_with_a_wrong_chunk_is_not_committed_until_that_is_replaced(
    store: Store, partial: PartialBlob
) -> None:
    fill(partial, DATA, [0, 1, 3, 4, 5])
    partial.write_chunk(2, bytes(64 * KIB), None)
    with pytest.raises(ContentError, match="do not match it"):
        partial.commit()
    assert store.size_of(DIGEST) is None
    assert partial.have == ChunkSet.full(6)
    partial.forget(ChunkSet.of([2]))
    assert partial.have == ChunkSet.of([0, 1, 3, 4, 5])
    assert partial.chunk_digest(2) is None
    fill(partial, DATA, [2])
    partial.commit()
    assert store.read(DIGEST, SIZE) == DATA
    partial.close()


def test_content_of_another_size_than_said_is_not_committed(store: Store) -> None:
    with store.open_partial(DIGEST, SIZE + 1) as partial:
        fill(partial, DATA + b"x")
        with pytest.raises(ContentError):
            partial.commit()
    assert store.size_of(DIGEST) is None


def test_an_empty_blob_needs_no_chunk(store: Store) -> None:
    digest = Digest.of(b"")
    with store.open_partial(digest, 0) as partial:
        partial.commit()
    assert store.size_of(digest) == 0
    assert store.chunk_digests(digest) == []


def test_a_wrong_empty_blob_is_refused(store: Store) -> None:
    with store.open_partial(DIGEST, 0) as partial, pytest.raises(ContentError):
        partial.commit()


def test_a_resumed_partial_has_what_was_verified(store: Store, partial: PartialBlob) -> None:
    fill(partial, DATA, [4, 0, 2])
    partial.close()
    with store.open_partial(DIGEST, SIZE) as resumed:
        assert resumed.have == ChunkSet.of([0, 2, 4])
        assert resumed.chunk_digest(2) == blake3(chunk(resumed, DATA, 2)).digest()
        fill(resumed, DATA, [1, 3, 5])
        resumed.commit()
    assert store.read(DIGEST, SIZE) == DATA


def test_a_partial_survives_the_process(root: Path) -> None:
    with Store(root) as store, store.open_partial(DIGEST, SIZE) as partial:
        fill(partial, DATA, [1])
    with Store(root) as store, store.open_partial(DIGEST, SIZE) as resumed:
        assert resumed.have == ChunkSet.of([1])


def test_what_was_forgotten_is_not_resumed(store: Store, partial: PartialBlob) -> None:
    fill(partial, DATA, [0, 1])
    partial.forget(ChunkSet.of([1, 5]))
    partial.close()
    with store.open_partial(DIGEST, SIZE) as resumed:
        assert resumed.have == ChunkSet.of([0])


def test_tampering_with_a_partial_costs_only_the_chunks_touched(
    store: Store, partial: PartialBlob, root: Path
) -> None:
    fill(partial, DATA)
    partial.close()
    (data_path,) = (root / "partial").glob("*.data")
    with data_path.open("r+b") as file:
        file.seek(3 * 64 * KIB + 5)
        file.write(b"tampered")
    with store.open_partial(DIGEST, SIZE) as resumed:
        assert resumed.have == ChunkSet.of([0, 1, 2, 4, 5])


def test_a_partial_that_was_cut_short_loses_what_was_cut(
    store: Store, partial: PartialBlob, root: Path
) -> None:
    fill(partial, DATA)
    partial.close()
    (data_path,) = (root / "partial").glob("*.data")
    os.truncate(data_path, 2 * 64 * KIB + 100)
    with store.open_partial(DIGEST, SIZE) as resumed:
        assert resumed.have == ChunkSet.of([0, 1])
        fill(resumed, DATA, [2, 3, 4, 5])
        resumed.commit()


@per_example
@given(cut=st.integers(0, 300), junk=st.binary(max_size=100), flip=st.none() | st.integers(0, 299))
def test_a_torn_chunk_log_never_makes_a_chunk_up(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes, flip: int | None
) -> None:
    root = tmp_path_factory.mktemp("torn")
    with Store(root) as store:
        with store.open_partial(DIGEST, SIZE) as partial:
            fill(partial, DATA, [5, 0, 3, 1, 2])
        (log_path,) = (root / "partial").glob("*.log")
        log = bytearray(log_path.read_bytes())
        if flip is not None:
            log[flip % len(log)] ^= 0x55
        log_path.write_bytes(bytes(log[:cut]) + junk)
        with store.open_partial(DIGEST, SIZE) as resumed:
            assert not resumed.have - ChunkSet.of([5, 0, 3, 1, 2])
            for index in resumed.have:
                assert resumed.chunk_digest(index) == blake3(chunk(resumed, DATA, index)).digest()
            fill(resumed, DATA)
            have = resumed.have
        with store.open_partial(DIGEST, SIZE) as again:
            assert again.have == have == ChunkSet.full(6)
            again.commit()


def test_a_partial_of_another_size_begins_anew(store: Store, partial: PartialBlob) -> None:
    fill(partial, DATA)
    partial.close()
    with store.open_partial(DIGEST, SIZE - 10) as resumed:
        assert not resumed.have
        assert os.fstat(resumed.fd).st_size == SIZE - 10


def test_a_partial_in_use_is_not_shared(store: Store, partial: PartialBlob) -> None:
    fill(partial, DATA, [0])
    with store.open_partial(DIGEST, SIZE) as second:
        assert not second.have
        fill(second, DATA)
        second.commit()
    fill(partial, DATA)
    partial.commit()
    partial.close()
    assert store.read(DIGEST, SIZE) == DATA


def test_a_discarded_partial_is_gone_from_the_disk(store: Store, partial: PartialBlob, root: Path) -> None:
    fill(partial, DATA, [0])
    partial.discard()
    assert os.pread(partial.fd, 10, 0) == DATA[:10]
    partial.close()
    partial.close()
    assert not list((root / "partial").iterdir())
    assert store.usage().partials == 0


def test_a_closed_partial_refuses_chunks(partial: PartialBlob) -> None:
    partial.close()
    with pytest.raises(DiskError, match="closed"):
        fill(partial, DATA, [0])
    with pytest.raises(DiskError, match="closed"):
        partial.commit()
    assert not partial.hash_prefix(1 << 20)


def test_a_chunk_that_comes_after_the_commit_changes_nothing(partial: PartialBlob) -> None:
    fill(partial, DATA)
    partial.commit()
    fill(partial, DATA, [3])
    partial.forget(ChunkSet.full(6))
    assert partial.have == ChunkSet.full(6)
    with pytest.raises(ContentError):
        partial.write_chunk(3, bytes(64 * KIB), None)
    partial.close()


def test_many_threads_write_at_once(store: Store) -> None:
    digest, data = blob(40 * 512 * KIB)
    with store.open_partial(digest, len(data)) as partial:
        # Every chunk twice, as in the last moments of a download; one thread hashes meanwhile.
        lanes = [[n for n in range(40) if n % 4 in (lane, (lane + 1) % 4)] for lane in range(4)]
        threads = [threading.Thread(target=fill, args=(partial, data, lane)) for lane in lanes]
        for thread in threads:
            thread.start()
        while len(partial.have) < 40:
            partial.hash_prefix(64 * KIB)
        for thread in threads:
            thread.join()
        partial.commit()
    assert store.read(digest, len(data)) == data


def test_partials_that_serve_nobody_are_cleared_away_at_the_start(root: Path, clock: Clock) -> None:
    complete, old = blob(100, 1), blob(100, 2)
    with Store(root, now=clock) as store:
        for digest, data in (complete, old):
            with store.open_partial(digest, 100) as partial:
                fill(partial, data)
        store.put(*complete)
        (root / "partial" / "sha256-00-dead.data").write_bytes(b"half made")
        (root / "partial" / f"sha256-{'0' * 64}-dead.log").write_bytes(b"")
    for left in (root / "partial").iterdir():
        os.utime(left, (clock.time, clock.time))
    with Store(root, now=clock) as store:
        assert store.usage().partials == 1
        assert len(list((root / "partial").iterdir())) == 2
    clock.time += 15 * 24 * 3600
    with Store(root, now=clock) as store:
        assert store.usage().partials == 0


def test_how_far_the_hash_is_behind_is_known_without_hashing(partial: PartialBlob) -> None:
    fill(partial, DATA, [1, 2])
    assert partial.unhashed_bytes == 0
    fill(partial, DATA, [0])
    assert partial.unhashed_bytes == 2 * 64 * KIB
    assert not partial.hash_prefix(1 << 20)
    assert partial.unhashed_bytes == 0
