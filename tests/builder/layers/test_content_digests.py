"""What changes the digest of copied files, what does not, and what is not read again."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.content.errors import DiskError
from builder.dockerfile.ignore import IgnorePatterns
from builder.layers.content_digests import ContentDigests
from builder.plan.cache_keys import Selection
from builder.plan.steps import ContextSource

LONG_AGO_NS = 1_600_000_000_000_000_000


@pytest.fixture
def digests(tmp_path: Path) -> Iterator[ContentDigests]:
    opened = ContentDigests(tmp_path / "digests.db")
    yield opened
    opened.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    (root / "dir").mkdir(parents=True)
    (root / "a").write_text("A")
    (root / "b").write_text("B")
    (root / "link").symlink_to("a")
    return root


def digest(
    digests: ContentDigests, root: Path, *paths: str, ignore: str = "", is_context: bool = True
) -> str:
    selection = Selection(ContextSource(), paths or (".",), follows_patterns=True)
    return digests.of(root, selection, IgnorePatterns.parse(ignore.encode()), is_context=is_context)


def relink(root: Path) -> None:
    (root / "link").unlink()
    (root / "link").symlink_to("b")


def swap(root: Path) -> None:
    (root / "a").write_text("B")
    (root / "b").write_text("A")


def hard_link(root: Path) -> None:
    (root / "b").unlink()
    os.link(root / "a", root / "b")


def same_data(root: Path) -> None:
    (root / "b").write_text("A")


CHANGES: dict[str, Callable[[Path], object]] = {
    "data": lambda root: (root / "a").write_text("a"),
    "longer": lambda root: (root / "a").write_text("AA"),
    "mode": lambda root: (root / "a").chmod(0o755),
    "directory's mode": lambda root: (root / "dir").chmod(0o700),
    "name": lambda root: (root / "a").rename(root / "c"),
    "new": lambda root: (root / "c").touch(),
    "gone": lambda root: (root / "a").unlink(),
    "directory": lambda root: (root / "dir/deep").mkdir(),
    "link": relink,
    "swapped": swap,
    "xattr": lambda root: os.setxattr(root / "a", "user.x", b"1"),
    "directory's xattr": lambda root: os.setxattr(root / "dir", "user.x", b"1"),
    "hard link": hard_link,
    "the same twice": same_data,
}


def test_every_change_changes_it(digests: ContentDigests, tmp_path: Path) -> None:
    found = {}
    for number, (name, change) in enumerate({"none": lambda _: None, **CHANGES}.items()):
        root = tmp_path / f"context{number}"
        (root / "dir").mkdir(parents=True)
        for file, text in (("a", "A"), ("b", "B")):
            (root / file).write_text(text)
            (root / file).chmod(0o644)
        (root / "link").symlink_to("a")
        change(root)
        found[name] = digest(digests, root)
    assert len(set(found.values())) == len(found), found


def test_times_and_places_do_not_change_it(digests: ContentDigests, root: Path) -> None:
    before = digest(digests, root)
    for path in (root, root / "a", root / "dir"):
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    assert digest(digests, root) == before
    assert digest(digests, root.rename(root.with_name("moved"))) == before


def test_what_is_ignored_is_not_in_it(digests: ContentDigests, root: Path) -> None:
    before = digest(digests, root, ignore="b")
    (root / "b").write_text("changed")
    assert digest(digests, root, ignore="b") == before


def test_an_xattr_is_not_taken_for_a_file(digests: ContentDigests, tmp_path: Path) -> None:
    """Framing: how many attributes there are is told before them."""
    one, two = tmp_path / "one", tmp_path / "two"
    (one / "d").mkdir(parents=True)
    (two / "d/user.x").mkdir(parents=True)
    mode = (two / "d/user.x").stat().st_mode
    os.setxattr(one / "d", "user.x", f"{mode} 0 0 0".encode())
    assert digest(digests, one, "d") != digest(digests, two, "d")


def test_a_file_keeps_its_name_in_it_and_a_directory_does_not(digests: ContentDigests, root: Path) -> None:
    (root / "same").write_text("A")
    (root / "other").mkdir()
    assert digest(digests, root, "a") != digest(digests, root, "same")
    assert digest(digests, root, "dir") == digest(digests, root, "other")


@pytest.mark.skipif(os.getuid() != 0, reason="owners are root's to give")
def test_owners_count_but_those_of_a_context(digests: ContentDigests, root: Path) -> None:
    of_image, of_context = digest(digests, root, is_context=False), digest(digests, root)
    os.chown(root / "a", 12, 34)
    assert digest(digests, root, is_context=False) != of_image
    assert digest(digests, root) == of_context


def age(path: Path, database: Path) -> None:
    """As if it was learned: the change times of files cannot be set."""
    status = path.stat()
    stamp = f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
    with sqlite3.connect(database) as known:
        row = (os.fsencode(path), stamp, b"\0" * 32)
        known.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", row)
    known.close()


def test_a_file_that_is_as_it_was_is_not_read_again(
    digests: ContentDigests, root: Path, tmp_path: Path
) -> None:
    fresh = digest(digests, root, "a")
    age(root / "a", tmp_path / "digests.db")
    assert digest(digests, root, "a") != fresh  # what is told of it is believed
    status = (root / "a").stat()
    (root / "a").write_text("a")
    os.utime(root / "a", ns=(status.st_atime_ns, status.st_mtime_ns))  # as rsync and tar do: the ctime tells
    (root / "same").write_text("a")
    assert digest(digests, root, "a") == digest(digests, root.parent, "context/a")
    (root / "a").write_text("A")
    assert digest(digests, root, "a") == fresh


def test_a_file_that_was_just_written_is_not_remembered(
    digests: ContentDigests, root: Path, tmp_path: Path
) -> None:
    digest(digests, root)
    with sqlite3.connect(tmp_path / "digests.db") as known:
        assert known.execute("SELECT count(*) FROM files").fetchone() == (0,)
    known.close()


def test_threads_may_ask_at_once(digests: ContentDigests, root: Path, tmp_path: Path) -> None:
    for number in range(50):
        (root / f"f{number}").write_text(str(number))
    age(root / "f1", tmp_path / "digests.db")
    expected, found = digest(digests, root), set[str]()

    def ask() -> None:
        for _ in range(10):
            found.add(digest(digests, root))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {expected}


def test_what_is_known_is_made_again_where_it_is_damaged(tmp_path: Path, root: Path) -> None:
    (tmp_path / "digests.db").write_bytes(b"no database at all, " * 100)
    (tmp_path / "digests.db-wal").write_bytes(b"rubbish")
    digests = ContentDigests(tmp_path / "digests.db")
    assert len(digest(digests, root)) == 64
    digests.close()


def test_without_a_place_for_it_the_disk_is_to_blame(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="cannot use"):
        ContentDigests(tmp_path / "no/where/digests.db")
