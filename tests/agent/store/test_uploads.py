"""Blobs on their way from a client: of one repository, alive after restarts, counted, expired, and whole or not."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import ContentError, DiskError
from agent.content.pushed import PushedName
from agent.content.reference import CLUSTER_REGISTRY, Repository
from agent.store import uploads as module
from agent.store.store import Store, StoreLimits
from agent.store.uploads import Upload
from tests.agent.store.conftest import Clock
from tests.agent.store.sample import KIB, blob
from tests.agent.store.test_crashes import Snapshots

APP = Repository(CLUSTER_REGISTRY, "team/app")
OTHER = Repository(CLUSTER_REGISTRY, "team/other")


def begin(store: Store) -> Upload:
    upload = store.uploads.begin(APP)
    assert upload is not None
    return upload


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("size", [0, 1, 300 * KIB])
def test_what_was_uploaded_becomes_a_blob_with_its_chunk_digests(
    store: Store, algorithm: str, size: int
) -> None:
    data = blob(size)[1]
    digest = Digest.of(data, algorithm)
    upload = begin(store)
    for at in range(0, size, 100 * KIB):
        store.uploads.append(upload, data[at : at + 100 * KIB])
    assert store.uploads.finish(upload, digest) == size
    assert store.read(digest, size) == data
    assert len(store.chunk_digests(digest) or []) == -(-size // (64 * KIB))
    assert store.verify(digest)
    assert store.uploads.find(upload.id, APP) is None


def test_bytes_that_are_not_what_the_digest_names_are_thrown_away(store: Store, root: Path) -> None:
    upload = begin(store)
    store.uploads.append(upload, b"something")
    with pytest.raises(ContentError, match="do not match"):
        store.uploads.finish(upload, Digest.of(b"something else"))
    assert list((root / "uploads").iterdir()) == []
    assert store.complete_digests() == []


def test_an_upload_is_its_repositorys_alone_and_its_id_is_no_path(store: Store) -> None:
    upload = begin(store)
    assert store.uploads.find(upload.id, APP) is upload
    assert store.uploads.find(upload.id, OTHER) is None
    for forged in ("", "..", "../index", upload.id[:-1], upload.id.upper() + "x", "f" * 32):
        assert store.uploads.find(forged, APP) is None


def test_an_upload_outlives_the_process(root: Path, clock: Clock) -> None:
    digest, data = blob(200 * KIB)
    with Store(root, now=clock) as store:
        upload = begin(store)
        store.uploads.append(upload, data[:100_000])
    os.utime(upload.path, (clock.time, clock.time))
    with Store(root, now=clock) as again:
        found = again.uploads.find(upload.id, APP)
        assert found is not None
        assert found.size == 100_000
        again.uploads.append(found, data[100_000:])
        again.uploads.finish(found, digest)
        assert again.read(digest, len(data)) == data


def test_an_upload_without_a_byte_for_a_day_is_removed(store: Store, root: Path, clock: Clock) -> None:
    upload = begin(store)
    os.utime(upload.path, (clock.time, clock.time))
    clock.time += 23 * 3600
    store.uploads.sweep()
    assert store.uploads.find(upload.id, APP) is upload
    clock.time += 2 * 3600
    store.uploads.sweep()
    assert store.uploads.find(upload.id, APP) is None
    assert list((root / "uploads").iterdir()) == []


def test_there_is_an_end_to_open_uploads(store: Store, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(module, "MAX_UPLOADS", 3)
    begun = [begin(store) for _ in range(3)]
    for upload in begun:
        os.utime(upload.path, (clock.time, clock.time))
    assert store.uploads.begin(APP) is None
    store.uploads.discard(begun[0])
    assert store.uploads.begin(APP) is not None


def test_what_clients_left_keeps_no_other_from_pushing(
    store: Store, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(module, "MAX_UPLOADS", 3)
    begun = [begin(store) for _ in range(3)]
    for seconds, upload in zip((30, 60, 1), begun, strict=True):
        os.utime(upload.path, (clock.time - seconds, clock.time - seconds))
    assert store.uploads.begin(APP, busy=[begun[1].id]) is not None
    assert [store.uploads.find(one.id, APP) is not None for one in begun] == [False, True, True]
    for upload in begun[1:]:
        os.utime(upload.path, (clock.time - 1, clock.time - 1))
    assert store.uploads.begin(APP) is None, "all of them were used a moment ago"


def test_uploads_count_against_the_quota(root: Path, clock: Clock) -> None:
    limits = StoreLimits(quota_bytes=100 * KIB)
    with Store(root, limits, now=clock) as store:
        upload = begin(store)
        store.uploads.append(upload, bytes(60 * KIB))
        store.uploads.append(upload, bytes(20 * KIB))
        assert store.usage().partial_bytes >= 80 * KIB
        second = begin(store)
        with pytest.raises(DiskError, match="no room"):
            store.uploads.append(second, bytes(30 * KIB))
        store.uploads.append(second, bytes(10 * KIB))


def test_a_pushed_blob_stays_while_its_manifest_is_on_its_way(root: Path, clock: Clock) -> None:
    digest, data = blob(10 * KIB)
    with Store(root, StoreLimits(quota_bytes=15 * KIB), now=clock) as store:
        store.put(digest, data)
        store.link(APP, _descriptor(digest, data))
        with pytest.raises(DiskError, match="no room"):
            store.put(*blob(10 * KIB, seed=1))
        clock.time += 7200
        store.put(*blob(10 * KIB, seed=1))
        assert store.size_of(digest) is None


def test_what_is_unlinked_everywhere_is_removed(store: Store) -> None:
    digest, data = blob(10)
    store.put(digest, data)
    for repository in (APP, OTHER):
        store.link(repository, _descriptor(digest, data))
    assert store.unlink(APP, digest)
    assert not store.unlink(APP, digest)
    assert store.size_of(digest) == 10
    assert not store.knows(APP)
    assert store.unlink(OTHER, digest)
    assert store.size_of(digest) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1000)), max_size=12))
@settings(max_examples=30, deadline=None)
def test_whatever_is_appended_and_cut_the_digest_is_of_what_is_left(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, int]]
) -> None:
    expected = b""
    with Store(tmp_path_factory.mktemp("store")) as store:
        upload = begin(store)
        for number, (appends, size) in enumerate(steps):
            if appends:
                piece = bytes([number]) * size
                store.uploads.append(upload, piece)
                expected += piece
            else:
                size = min(size, len(expected))
                store.uploads.cut(upload, size)
                expected = expected[:size]
        assert store.uploads.finish(upload, Digest.of(expected)) == len(expected)


def _descriptor(digest: Digest, data: bytes) -> Descriptor:
    return Descriptor("application/octet-stream", digest, len(data))


def test_a_kill_at_any_step_of_a_push_leaves_a_whole_store(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy taken before each system call that changes something is what a kill there leaves behind."""
    digest, data = blob(70 * KIB)
    acknowledged: list[int] = []
    with Store(root) as store:
        snapshots = Snapshots(root, tmp_path / "copies")
        with monkeypatch.context() as patched:
            for name in ("pwrite", "fsync", "rename", "unlink", "ftruncate"):
                patched.setattr(os, name, snapshots.around(getattr(os, name)))
            upload = begin(store)
            store.uploads.append(upload, data)
            store.uploads.finish(upload, digest)
            store.link(APP, _descriptor(digest, data))
            snapshots.take()
            acknowledged.append(len(snapshots.taken) - 1)
            store.pushed.put([PushedName("team/app", "1", digest, len(data), "a/b", None, 1.0, b"n" * 32)])
            snapshots.take()
    assert len(snapshots.taken) > 5
    for number, copy in enumerate(snapshots.taken):
        with Store(copy) as again:
            for found, size in again.complete_digests():
                assert again.verify(found)
                assert size == len(data)
            if number >= acknowledged[0]:
                assert again.is_linked(APP, digest)
                assert again.read(digest, len(data)) == data
            left = again.uploads.find(upload.id, APP)
            if left is not None and left.size == len(data):
                again.uploads.finish(left, digest)
                assert again.verify(digest)
    with Store(snapshots.taken[-1]) as last:
        assert last.pushed.find("team/app", "1") is not None


def test_of_two_records_of_a_name_the_greater_stamp_stays(store: Store) -> None:
    old = PushedName("team/app", "1", Digest.of(b"1"), 1, "a/b", None, 5.0, b"a" * 32)
    for later in (replace(old, at=4.0), replace(old, writer=b"0" * 32, deleted=True)):
        store.pushed.put([old])
        store.pushed.put([later])
        assert store.pushed.find("team/app", "1") == old
    newest = replace(old, writer=b"b" * 32, deleted=True)
    store.pushed.put([newest])
    assert store.pushed.find("team/app", "1") == newest
    assert store.pushed.repositories() == []
    store.pushed.forget_deleted(before=6.0)
    assert store.pushed.all() == []
