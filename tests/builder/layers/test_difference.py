"""What an upper directory changed, as a tar; both directories are made by hand. With overlay: test_snapshots.py."""

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from agent.content.errors import ContentError
from builder.layers.difference import write_difference

AT_NS = 1_600_000_000_123_456_789
AT = 1_600_000_000


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    return made(tmp_path / "upper")


@pytest.fixture
def lower(tmp_path: Path) -> Path:
    return made(tmp_path / "lower")


def made(path: Path, data: str | None = None, mode: int = 0o755) -> Path:
    """A directory, or a file with `data`; all of one time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if data is None:
        path.mkdir()
    else:
        path.write_text(data)
    path.chmod(mode)
    os.utime(path, ns=(AT_NS, AT_NS))
    return path


def whiteout(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mknod(path, stat.S_IFCHR, 0)


def opaque(path: Path) -> None:
    os.setxattr(path, "trusted.overlay.opaque", b"y")


def difference(upper: Path, lower: Path, epoch: int | None = None) -> list[tarfile.TarInfo]:
    pieces: list[bytes] = []
    count = write_difference(upper, lower, epoch, pieces.append)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        members = tar.getmembers()
    assert len(members) == count
    return members


def names(upper: Path, lower: Path) -> list[str]:
    return [member.name for member in difference(upper, lower)]


def test_nothing_changed_is_no_member(upper: Path, lower: Path) -> None:
    assert names(upper, lower) == []


def test_new_files_bring_their_directories(upper: Path, lower: Path) -> None:
    made(lower / "a")
    made(upper / "a/b/c", "x")
    assert names(upper, lower) == ["a", "a/b", "a/b/c"]


def test_a_directory_that_was_only_copied_up_does_not_count(upper: Path, lower: Path) -> None:
    for root in (upper, lower):
        made(root / "a/b/same", "x")
        made(root / "a/c")
    os.utime(upper / "a/c", ns=(1, 1))  # something came and went in it
    assert names(upper, lower) == []
    (upper / "a/c").chmod(0o700)
    assert names(upper, lower) == ["a", "a/c"]


def test_a_file_that_is_what_it_was_does_not_count_unless_its_content_differs(
    upper: Path, lower: Path
) -> None:
    for root in (upper, lower):
        made(root / "moved-and-back", "same")
        (root / "link").symlink_to("same")
        os.utime(root / "link", ns=(AT_NS, AT_NS), follow_symlinks=False)
    made(lower / "mode", "1")
    made(upper / "mode", "1", mode=0o600)
    made(lower / "content", "12345")
    made(upper / "content", "1234x")
    made(lower / "time", "1")
    os.utime(made(upper / "time", "1"), ns=(AT_NS + 1, AT_NS + 1))
    (lower / "target").symlink_to("one")
    (upper / "target").symlink_to("two")
    assert names(upper, lower) == ["content", "mode", "target", "time"]


def test_a_whiteout_counts_where_something_is_below_and_comes_first(upper: Path, lower: Path) -> None:
    made(lower / "d/z", "1")
    made(upper / "d/a", "1")
    whiteout(upper / "d/z")
    whiteout(upper / "d/never-below")
    whiteout(upper / "new/never-below")
    assert names(upper, lower) == ["d", "d/.wh.z", "d/a", "new"]


def test_what_takes_the_place_of_another_kind_needs_no_whiteout(upper: Path, lower: Path) -> None:
    made(lower / "file", "1")
    made(lower / "directory/x", "1")
    made(upper / "file/y", "1")
    made(upper / "directory", "2")
    assert names(upper, lower) == ["directory", "file", "file/y"]


@pytest.mark.real("busybox")
def test_an_opaque_directory_is_whiteouts_of_what_is_below_at_every_depth(upper: Path, lower: Path) -> None:
    for name in ("d/gone", "d/kept/gone", "d/kept/same", "d/tree/x"):
        made(lower / name, "1")
    made(upper / "d/kept/same", "1")
    made(upper / "d/kept/new", "1")
    opaque(upper / "d")
    assert names(upper, lower) == [
        "d",
        "d/.wh.gone",
        "d/.wh.tree",
        "d/kept",
        "d/kept/.wh.gone",
        "d/kept/new",
    ]


def test_hard_links_within_the_layer(upper: Path, lower: Path) -> None:
    made(upper / "a/first", "data")
    (upper / "b").hardlink_to(upper / "a/first")
    found = {member.name: member for member in difference(upper, lower)}
    assert found["a/first"].isreg()
    assert (found["b"].type, found["b"].linkname, found["b"].size) == (tarfile.LNKTYPE, "a/first", 0)


def test_a_new_name_of_an_unchanged_file_has_its_content_and_stays_linked(upper: Path, lower: Path) -> None:
    made(lower / "a", "data")
    made(upper / "a", "data")
    (upper / "b").hardlink_to(upper / "a")
    first, second = difference(upper, lower)
    assert (first.name, first.isreg(), first.size) == ("b", True, 4)
    assert (second.name, second.linkname) == ("a", "b")


def test_an_unchanged_name_that_is_written_after_all_brings_its_directories(upper: Path, lower: Path) -> None:
    made(lower / "a/x", "data")
    made(upper / "a/x", "data")
    (upper / "b").hardlink_to(upper / "a/x")
    assert names(upper, lower) == ["b", "a", "a/x"]


def test_only_one_of_two_names_in_the_upper_directory_is_a_file_like_others(upper: Path, lower: Path) -> None:
    made(lower / "x", "old")
    (upper.parent / "elsewhere").hardlink_to(made(upper / "a", "data"))
    (member,) = difference(upper, lower)
    assert (member.name, member.isreg(), member.size) == ("a", True, 4)


def test_times_are_whole_seconds_and_not_later_than_the_epoch(upper: Path, lower: Path) -> None:
    made(upper / "old", "1")
    os.utime(upper / "old", ns=(5_000_000_000, 5_000_000_000))
    made(upper / "new", "1")
    real = {member.name: member.mtime for member in difference(upper, lower)}
    clamped = {member.name: member.mtime for member in difference(upper, lower, epoch=100)}
    assert real == {"old": 5, "new": AT}
    assert clamped == {"old": 5, "new": 100}


def test_attributes_that_are_carried_and_those_that_are_not(upper: Path, lower: Path) -> None:
    made(upper / "f", "1")
    os.setxattr(upper / "f", "user.note", b"\0\xff")
    os.setxattr(upper / "f", "user.overlay.origin", b"1")
    (member,) = difference(upper, lower)
    assert {key for key in member.pax_headers if "xattr" in key.lower()} == {"SCHILY.xattr.user.note"}


@pytest.mark.real("busybox")
def test_a_root_whose_attributes_changed_is_a_member(upper: Path, lower: Path) -> None:
    upper.chmod(0o700)
    assert [(member.name, member.mode) for member in difference(upper, lower)] == [(".", 0o700)]


def test_sockets_stay_out_and_the_rest_has_its_kind(upper: Path, lower: Path) -> None:
    os.mknod(upper / "socket", stat.S_IFSOCK | 0o600)
    os.mkfifo(upper / "pipe")
    (upper / "link").symlink_to("/absolute/../target")
    found = {member.name: member for member in difference(upper, lower)}
    assert sorted(found) == ["link", "pipe"]
    assert found["pipe"].isfifo()
    assert found["link"].linkname == "/absolute/../target"


def test_sparse_files_and_names_that_are_no_text(upper: Path, lower: Path) -> None:
    odd = os.fsdecode(b"\xff\xfe n\xc3\xa4me")
    with open(upper / odd, "wb") as file:
        file.truncate(3_000_000)
        file.write(b"head")
    (member,) = difference(upper, lower)
    assert (member.name, member.size) == (odd, 3_000_000)


def test_the_order_is_that_of_the_bytes_of_names(upper: Path, lower: Path) -> None:
    for name in ("b", "a.txt", "a/x", "ä", "Z", "a-b"):
        made(upper / name, "1")
    assert names(upper, lower) == ["Z", "a", "a/x", "a-b", "a.txt", "b", "ä"]


def test_a_tree_too_deep_is_told_with_its_name(upper: Path, lower: Path) -> None:
    made(upper / "/".join(["d"] * 500))
    with pytest.raises(ContentError, match="too deep for a layer"):
        difference(upper, lower)


def test_plain_entries_need_no_pax_headers(upper: Path, lower: Path) -> None:
    made(upper / "d/f", "1")
    assert all(not member.pax_headers for member in difference(upper, lower))
