"""A copy of the directory, taken between any two system calls that change it, is what a kill there leaves behind."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.content.digest import Digest
from agent.content.errors import DiskError
from agent.store.store import Store, StoreLimits
from tests.agent.store.conftest import Clock
from tests.agent.store.sample import ALPINE, KIB, blob, fill, image

ONE = image(1, layer_bytes=70 * KIB, layers=1)
REFERENCE = "docker.io/library/alpine:3.20"


def pull(store: Store) -> None:
    """What a node does for a small image: the tag first, documents, layers as partials."""
    store.put_tag(ALPINE, "3.20", ONE.descriptor, 1.0)
    store.put(ONE.descriptor.digest, ONE.body)
    store.put_document(ALPINE, ONE.descriptor, ONE.children)
    for digest, data in ONE.parts.items():
        with store.open_partial(digest, len(data)) as partial:
            fill(partial, data)
            partial.commit()


def evict(store: Store) -> None:
    store.remove_tag(ALPINE, "3.20")
    store.publish_layout()
    store.put_tag(ALPINE, "3.20", ONE.descriptor, 1.0)
    store.publish_layout()
    for digest in ONE.parts:
        store.remove(digest)


class Snapshots:
    """Copies the store each time it makes a system call that changes the directory or orders writes."""

    def __init__(self, root: Path, copies: Path) -> None:
        self._root, self._copies = root, copies
        self.taken: list[Path] = []

    def take(self) -> None:
        copy = self._copies / str(len(self.taken))
        shutil.copytree(self._root, copy)
        self.taken.append(copy)

    def around(self, call: Callable[..., object]) -> Callable[..., object]:
        def snapped(*arguments: object, **keywords: object) -> object:
            self.take()
            return call(*arguments, **keywords)

        return snapped


@pytest.mark.parametrize("work", [pull, evict])
def test_a_kill_at_any_step_leaves_a_whole_store(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[Store], None]
) -> None:
    with Store(root) as store:
        if work is evict:
            pull(store)
        snapshots = Snapshots(root, tmp_path / "copies")
        with monkeypatch.context() as patched:
            for name in ("pwrite", "fsync", "rename", "unlink", "ftruncate"):
                patched.setattr(os, name, snapshots.around(getattr(os, name)))
            work(store)
        snapshots.take()
    assert len(snapshots.taken) > 5
    for copy in snapshots.taken:
        check_layout(copy)
        with Store(copy) as again:
            check_layout(copy)
            pull(again)
            assert again.images()[0].complete
        check_layout(copy)
        assert REFERENCE in (copy / "index.json").read_text()
        assert not list((copy / "partial").iterdir())
        assert not list((copy / "staging").iterdir())


def check_layout(root: Path) -> None:
    """Every blob is whole, index.json names only what is here, the database is sound."""
    for path in (root / "blobs/sha256").iterdir():
        assert Digest.of(path.read_bytes()).hex == path.name
    if (root / "index.json").exists():
        for entry in json.loads((root / "index.json").read_text())["manifests"]:
            assert (root / "blobs/sha256" / entry["digest"].removeprefix("sha256:")).exists()
            assert all((root / "blobs/sha256" / digest.hex).exists() for digest in ONE.parts)
    connection = sqlite3.connect(root / "index.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_full_disk_in_the_middle_of_a_chunk_leaves_everything_whole(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, data = blob(200 * KIB)
    pull(store)
    with store.open_partial(digest, len(data)) as partial:
        fill(partial, data, [0])
        real = os.pwrite
        room = [100]

        def almost_full(fd: int, block: bytes | memoryview, offset: int) -> int:
            if not room[0]:
                raise OSError(28, "No space left on device")
            written = real(fd, memoryview(block)[: room[0]], offset)
            room[0] -= written
            return written

        for left in (100, 64 * KIB + 20):  # within the chunk; within its record in the log
            room[0] = left
            with monkeypatch.context() as patched:
                patched.setattr(os, "pwrite", almost_full)
                with pytest.raises(
                    DiskError, match=r"cannot write 65536 bytes of sha256:.* bytes are free\); free some"
                ):
                    fill(partial, data, [1])
            assert list(partial.have) == [0]
        fill(partial, data, [2])
    with store.open_partial(digest, len(data)) as resumed:
        assert list(resumed.have) == [0, 2]
        fill(resumed, data)
        resumed.commit()
    assert store.read(digest, len(data)) == data
    check_layout(root)


def test_a_full_disk_while_small_content_is_put_leaves_nothing(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(DiskError, match="cannot write 10 bytes"):
            store.put(*blob(10))
    assert store.complete_digests() == []
    assert not list((root / "staging").iterdir())
    store.put(*blob(10))


def test_bytes_that_the_disk_refused_at_the_last_moment_are_fetched_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, data = blob(200 * KIB)

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    with store.open_partial(digest, len(data)) as partial:
        fill(partial, data)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", broken)
            with pytest.raises(DiskError, match="will be fetched again"):
                partial.commit()
        assert not partial.have
        assert store.size_of(digest) is None
        fill(partial, data)
        partial.commit()
    assert store.read(digest, len(data)) == data


def test_eviction_takes_an_image_off_the_list_before_its_bytes(root: Path, clock: Clock) -> None:
    with Store(root, now=clock) as store:
        pull(store)
    with Store(root, StoreLimits(quota_bytes=0, tags_hold_seconds=0.0), clock) as store:
        clock.time += 10
        assert store.make_room(0) == ONE.size
        assert REFERENCE not in (root / "index.json").read_text()
        check_layout(root)


@pytest.mark.parametrize("way", ["put", "partial"])
def test_a_blob_that_the_index_cannot_record_does_not_appear(store: Store, root: Path, way: str) -> None:
    digest, data = blob(100)
    with sqlite3.connect(root / "index.db") as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON blobs BEGIN SELECT RAISE(FAIL, 'disk is full'); END"
        )
    with store.open_partial(digest, len(data)) as partial:
        fill(partial, data)
        commit = partial.commit if way == "partial" else lambda: store.put(digest, data)
        with pytest.raises(DiskError, match="disk is full"):
            commit()
        assert store.size_of(digest) is None
        assert not list((root / "staging").iterdir())
        connection.execute("DROP TRIGGER full")
        connection.close()
        commit()
    assert store.read(digest, 100) == data
    assert store.complete_digests() == [(digest, 100)]
