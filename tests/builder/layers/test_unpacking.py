"""A layer's tar becomes a directory that overlay takes; hostile ones end in an error and touch nothing outside."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.content.errors import ContentError
from builder.layers.attributes import is_whiteout
from builder.layers.overlay import OPAQUE_XATTR
from builder.layers.unpacking import LayerUnpacking
from tests.builder.layers.tars import (
    SECOND_NS,
    Member,
    device,
    directory,
    fifo,
    file,
    hard_link,
    reader,
    symlink,
    tar_of,
    xattrs,
)


def unpack(root: Path, members: Sequence[Member], lowers: Sequence[Path] = ()) -> Path:
    """lowers: the topmost first."""
    root.mkdir()
    with LayerUnpacking(root) as unpacking:
        unpacking.unpack(reader(tar_of(members)))
        unpacking.settle(lowers)
    return root


def is_opaque(path: Path) -> bool:
    return OPAQUE_XATTR in os.listxattr(path)


def test_files_come_with_mode_time_and_content(tmp_path: Path) -> None:
    made = unpack(tmp_path / "a", [file("bin/su", b"x" * 3_000_000, mode=0o4755, mtime_ns=1_500_000_001)])
    status = (made / "bin/su").stat()
    assert (made / "bin/su").read_bytes() == b"x" * 3_000_000
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o4755, 1_500_000_001)


def test_directories_keep_their_times_though_files_come_later(tmp_path: Path) -> None:
    members = [
        directory("d", mtime_ns=7 * SECOND_NS),
        file("d/x"),
        directory("d/e", mtime_ns=5),
        file("d/e/y"),
    ]
    made = unpack(tmp_path / "a", members)
    assert [(made / name).stat().st_mtime_ns for name in ("d", "d/e")] == [7 * SECOND_NS, 5]


def test_links_fifos_and_names_that_are_no_text_come_as_they_are(tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff\xfe")
    members = [file(odd, b"1"), symlink("away", "/etc/passwd"), hard_link("same", odd), fifo("pipe")]
    made = unpack(tmp_path / "a", members)
    assert os.readlink(made / "away") == "/etc/passwd"  # noqa: PTH115 -- as it is written
    assert (made / "same").samefile(made / odd)
    assert (made / "pipe").is_fifo()


def test_a_whiteout_becomes_overlays_mark(tmp_path: Path) -> None:
    made = unpack(tmp_path / "a", [file("etc/.wh.gone")])
    assert is_whiteout((made / "etc/gone").lstat())
    assert os.listdir(made / "etc") == ["gone"]


def test_a_whiteout_does_not_hide_what_its_own_layer_brings(tmp_path: Path) -> None:
    made = unpack(tmp_path / "a", [file("x", b"1"), file(".wh.x"), file(".wh.y"), file("y", b"2")])
    assert (made / "x").read_bytes() + (made / "y").read_bytes() == b"12"


@pytest.mark.parametrize("first", ["whiteout", "directory"])
@pytest.mark.real("busybox")
def test_a_directory_that_was_removed_and_made_anew_hides_the_lower_one(tmp_path: Path, first: str) -> None:
    whiteout, anew = file(".wh.d"), [directory("d"), file("d/x")]
    made = unpack(tmp_path / "a", [whiteout, *anew] if first == "whiteout" else [*anew, whiteout])
    assert is_opaque(made / "d")
    assert os.listdir(made / "d") == ["x"]


@pytest.mark.real("busybox")
def test_an_opaque_directory_and_one_that_is_only_implied(tmp_path: Path) -> None:
    made = unpack(
        tmp_path / "a", [directory("d"), file("d/.wh..wh..opq"), file("e/.wh..wh..opq"), file(".wh..wh.plnk")]
    )
    assert is_opaque(made / "d")
    assert is_opaque(made / "e")
    assert sorted(os.listdir(made)) == ["d", "e"]


def test_directories_without_a_member_are_like_those_below(tmp_path: Path) -> None:
    said = {"mode": 0o1777, "mtime_ns": 9 * SECOND_NS}
    lowest = unpack(
        tmp_path / "1", [directory("tmp", **said), directory("var", mode=0o700), directory(".", mode=0o711)]
    )
    middle = unpack(tmp_path / "2", [file("other")], [lowest])
    made = unpack(tmp_path / "3", [file("tmp/a/x")], [middle, lowest])
    status = (made / "tmp").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o1777, 9 * SECOND_NS)
    assert stat.S_IMODE((made / "tmp/a").stat().st_mode) == 0o755
    assert [stat.S_IMODE(root.stat().st_mode) for root in (middle, made)] == [0o711, 0o711]


def test_a_member_that_comes_after_what_is_in_it_counts(tmp_path: Path) -> None:
    lower = unpack(tmp_path / "1", [directory("d", mode=0o700)])
    made = unpack(tmp_path / "2", [file("d/x"), directory("d", mode=0o750, mtime_ns=3)], [lower])
    status = (made / "d").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o750, 3)


def test_a_hard_link_to_a_file_of_a_lower_layer_is_copied_up(tmp_path: Path) -> None:
    lowest = unpack(tmp_path / "1", [file("lib/a", b"old"), file("lib/b", b"data", mode=0o640, mtime_ns=5)])
    middle = unpack(tmp_path / "2", [file("lib/a", b"new")], [lowest])
    links = [hard_link("c", "lib/a"), hard_link("d", "lib/b", mode=0o640, mtime_ns=5)]
    made = unpack(tmp_path / "3", links, [middle, lowest])
    assert (made / "c").read_bytes() == b"new"
    assert (made / "c").samefile(made / "lib/a")
    assert (made / "d").read_bytes() == b"data"
    assert stat.S_IMODE((made / "lib/b").stat().st_mode) == 0o640


@pytest.mark.parametrize("hides", [file("lib/.wh.a"), file(".wh.lib"), file("lib")])
def test_a_hard_link_to_what_a_layer_between_hides_is_refused(tmp_path: Path, hides: Member) -> None:
    lowest = unpack(tmp_path / "1", [file("lib/a", b"old")])
    middle = unpack(tmp_path / "2", [hides], [lowest])
    with pytest.raises(ContentError, match="no file"):
        unpack(tmp_path / "3", [hard_link("c", "lib/a")], [middle, lowest])


def test_a_later_member_replaces_an_earlier_one(tmp_path: Path) -> None:
    deep = "d/" + "/".join(["n"] * 300)
    members = [
        file(f"{deep}/x"),
        file("f"),
        file("d", b"file"),
        directory("f"),
        file("f/y"),
        symlink("l", "f"),
    ]
    made = unpack(tmp_path / "a", [*members, file("l", b"no link")])
    assert (made / "d").read_bytes() == b"file"
    assert (made / "f/y").exists()
    assert (made / "l").read_bytes() == b"no link"
    assert not (made / "l").is_symlink()


def test_users_attributes_come_and_overlays_own_never(tmp_path: Path) -> None:
    bad = {"trusted.overlay.redirect": b"/etc", "user.overlay.opaque": b"y", "trusted.overlay.opaque": b"y"}
    pax = xattrs({"user.note": b"\0\xff", **bad})
    made = unpack(tmp_path / "a", [file("f", pax=pax), directory("d", pax=pax), file("d/x")])
    for name in ("f", "d"):
        assert os.listxattr(made / name) == ["user.note"]
        assert os.getxattr(made / name, "user.note") == b"\0\xff"


@pytest.mark.real("busybox")
def test_owners_capabilities_and_devices_come(tmp_path: Path) -> None:
    capability = b"\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    pax = xattrs({"security.capability": capability})
    members = [file("ping", b"x", uid=3, gid=4, mode=0o4755, pax=pax), device("null", 1, 3, uid=5)]
    made = unpack(tmp_path / "a", members)
    status, null = (made / "ping").stat(), (made / "null").lstat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (3, 4, 0o4755)
    assert os.getxattr(made / "ping", "security.capability")[4:] == capability[4:]
    assert (null.st_rdev, null.st_uid) == (os.makedev(1, 3), 5)


ESCAPES: dict[str, list[Member]] = {
    "parents": [file("../outside/x")],
    "parents inside": [directory("d"), file("d/../../outside/x")],
    "absolute": [file("/outside/x")],
    "through a symlink": [symlink("d", "../outside"), file("d/x")],
    "through a symlink's directory": [symlink("d", "../outside"), directory("d/e")],
    "whiteout through a symlink": [symlink("d", "../outside"), file("d/.wh.kept")],
    "opaque through a symlink": [symlink("d", "../outside"), file("d/.wh..wh..opq")],
    "whiteout of the parent": [file(".wh...")],
    "whiteout of nothing": [file(".wh.")],
    "hard link to outside": [hard_link("x", "../outside/kept")],
    "absolute hard link": [hard_link("x", "/outside/kept")],
    "hard link through a symlink": [symlink("d", "../outside"), hard_link("x", "d/kept")],
    "hard link below a symlink": [symlink("d", "../outside"), hard_link("d/x", "y"), file("y")],
    "hard link to a directory": [directory("d"), hard_link("x", "d")],
    "hard link to itself": [file("x"), hard_link("x", "x")],
    "hard link to nothing": [hard_link("x", "y")],
    "hard link to a whiteout": [file(".wh.y"), hard_link("x", "y")],
    "root as a file's parent": [file("x/y"), file("x"), file("x/z")],
    "a long name": [file("n" * 300)],
}


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_leaves_the_root(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    with pytest.raises(ContentError):
        unpack(tmp_path / "a", ESCAPES[name])
    assert os.listdir(outside) == ["kept"]
    assert (outside / "kept").read_text() == "kept"
    assert (outside / "kept").stat().st_nlink == 1


def test_attributes_are_never_put_through_a_symlink(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept")
    outside.chmod(0o600)
    before = outside.stat()
    pax = xattrs({"user.note": b"1"})
    unpack(
        tmp_path / "a",
        [symlink("l", "../outside", mode=0o4777, pax=pax), hard_link("m", "l", mode=0o4777, pax=pax)],
    )
    after = outside.stat()
    assert (before.st_mode, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_mode,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )
    assert os.listxattr(outside) == []


def test_a_directory_as_deep_as_a_name_can_say_is_unpacked(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 1500)
    made = unpack(tmp_path / "a", [file(f"{deep}/x"), file("d", b"replaced")])
    assert (made / "d").read_bytes() == b"replaced"
