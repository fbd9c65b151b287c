import json
import os
from pathlib import Path

import pytest
from blake3 import blake3

from agent.content.digest import Digest
from agent.content.errors import ContentError, DiskError
from agent.store.store import Store
from tests.agent.store.sample import KIB, blob, fill


def test_what_was_put_is_read_back_under_its_digest(store: Store) -> None:
    digest, data = blob(1000)
    assert store.size_of(digest) is None
    assert store.open_blob(digest) is None
    assert store.read(digest, 10_000) is None
    store.put(digest, data)
    assert store.size_of(digest) == 1000
    assert store.read(digest, 1000) == data
    with store.open_blob(digest) or pytest.fail("not there") as opened:
        assert (opened.size, os.pread(opened.fd, 2000, 0)) == (1000, data)


def test_content_that_does_not_match_is_refused_and_leaves_nothing(store: Store, root: Path) -> None:
    digest, data = blob(1000)
    with pytest.raises(ContentError, match="1001 bytes do not match sha256:"):
        store.put(digest, data + b"x")
    assert store.size_of(digest) is None
    assert not list((root / "staging").iterdir())


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("size", [0, 1, 70 * KIB])
def test_blobs_stand_where_an_image_layout_has_them(
    store: Store, root: Path, algorithm: str, size: int
) -> None:
    data = blob(size)[1]
    digest = Digest.of(data, algorithm)
    store.put(digest, data)
    assert (root / "blobs" / algorithm / digest.hex).read_bytes() == data
    assert json.loads((root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}


def test_a_blob_larger_than_the_reader_accepts_is_refused(store: Store) -> None:
    digest, data = blob(1000)
    store.put(digest, data)
    with pytest.raises(ContentError, match="has 1000 bytes: at most 999"):
        store.read(digest, 999)


def test_a_removed_blob_stays_readable_where_it_is_open(store: Store) -> None:
    digest, data = blob(1000)
    store.put(digest, data)
    opened = store.open_blob(digest)
    assert opened is not None
    store.remove(digest)
    assert store.size_of(digest) is None
    assert os.pread(opened.fd, 2000, 0) == data
    opened.close()
    store.remove(digest)


def test_chunk_digests_are_known_of_every_complete_blob(store: Store) -> None:
    digest, data = blob(150 * KIB)
    expected = [blake3(data[at : at + 64 * KIB]).digest() for at in range(0, len(data), 64 * KIB)]
    assert store.chunk_digests(digest) is None
    store.put(digest, data)
    assert store.chunk_digests(digest) == expected


def test_chunk_digests_that_were_not_recorded_are_computed(root: Path) -> None:
    digest, data = blob(150 * KIB)
    with Store(root) as store:
        store.put(digest, data)
        expected = store.chunk_digests(digest)
    for left in root.glob("index.db*"):
        left.unlink()
    with Store(root) as store:
        assert store.complete_digests() == [(digest, len(data))]
        assert store.chunk_digests(digest) == expected


def test_a_damaged_blob_is_found_and_removed(store: Store, root: Path) -> None:
    digest, data = blob(1000)
    store.put(digest, data)
    assert store.verify(digest)
    (root / "blobs/sha256" / digest.hex).write_bytes(data[:-1] + b"?")
    assert not store.verify(digest)
    assert store.size_of(digest) is None
    assert store.complete_digests() == []


def test_a_blob_that_changed_its_size_is_gone_at_the_next_start(root: Path) -> None:
    digest, data = blob(1000)
    with Store(root) as store:
        store.put(digest, data)
    (root / "blobs/sha256" / digest.hex).write_bytes(data[:-1])
    with Store(root) as store:
        assert store.size_of(digest) is None
        assert store.complete_digests() == []


def test_files_that_are_no_blobs_are_passed_over(root: Path) -> None:
    with Store(root):
        pass
    (root / "blobs/sha256/readme").write_text("?")
    (root / "blobs/sha256" / ("a" * 64)).mkdir()
    with Store(root) as store:
        assert store.complete_digests() == []


def test_a_store_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match=r"cannot open the store in .*file"):
        Store(tmp_path / "file")


def test_a_damaged_index_is_named_and_what_helps(root: Path) -> None:
    digest, data = blob(1000)
    with Store(root) as store:
        store.put(digest, data)
    (root / "index.db").write_bytes(b"not a database, at all" * 1000)
    with pytest.raises(DiskError, match=r"is damaged .*move it away"):
        Store(root)
    (root / "index.db").rename(root / "index.db.damaged")
    with Store(root) as store:
        assert store.complete_digests() == [(digest, len(data))]


def test_an_index_of_a_newer_version_is_left_alone(root: Path) -> None:
    import sqlite3

    with Store(root):
        pass
    connection = sqlite3.connect(root / "index.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DiskError, match="newer version"):
        Store(root)


def test_a_closed_store_refuses_instead_of_misbehaving(root: Path) -> None:
    store = Store(root)
    store.close()
    store.close()
    with pytest.raises(DiskError, match="closed"):
        store.open_partial(*_named(10))
    with pytest.raises(DiskError, match="closed"):
        store.complete_digests()


def test_closing_leaves_no_descriptor_behind(root: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with Store(root) as store:
        digest, data = blob(200 * KIB)
        with store.open_partial(digest, len(data)) as partial:
            fill(partial, data)
            partial.commit()
        with pytest.raises(ContentError):
            store.put(digest, b"")
    assert set(os.listdir("/proc/self/fd")) <= before  # those of earlier tests may go meanwhile
    assert not list((root / "owners").iterdir())


def _named(size: int) -> tuple[Digest, int]:
    return blob(size)[0], size
