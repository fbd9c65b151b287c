"""COPY, ADD and WORKDIR in a tree. Files go to whoever runs the tests, so that only what is about owners needs root."""

import os
import socket
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.content.errors import InputError
from builder.layers.copying import CopySource, copy_into, make_directory, named_owner
from builder.plan.steps import ContextSource, CopyOperation, InlineFile, MakeDirectory

MINE = f"{os.getuid()}:{os.getgid()}"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\napp:x:1001:1002::/:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\nstaff:x:50:\n")
    return tree


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "dir/sub").mkdir(parents=True)
    (source / "a").write_text("A")
    (source / "dir/b").write_text("B")
    (source / "dir/sub/c").write_text("C")
    return source


@pytest.fixture
def umask() -> Iterator[None]:
    old = os.umask(0o077)
    yield
    os.umask(old)


def copy(
    tree: Path, source: Path, *paths: str, to: str = "/", is_context: bool = True, **operation: object
) -> None:
    operation.setdefault("owner", MINE)
    copy_into(
        tree,
        CopyOperation(ContextSource(), paths, to, **operation),  # type: ignore[arg-type]
        CopySource(source, is_context=is_context),
    )


def names(tree: Path) -> list[str]:
    return sorted(
        str(path.relative_to(tree)) for path in tree.rglob("*") if not path.is_relative_to(tree / "etc")
    )


@pytest.mark.parametrize(
    ("paths", "to", "found"),
    [
        (("a",), "/x", ["x"]),
        (("a",), "/x/", ["x", "x/a"]),
        (("a",), "/", ["a"]),
        (("a",), "/deep/er/x", ["deep", "deep/er", "deep/er/x"]),
        (("dir",), "/", ["b", "sub", "sub/c"]),
        (("dir",), "/x", ["x", "x/b", "x/sub", "x/sub/c"]),
        (("a", "dir"), "/x/", ["x", "x/a", "x/b", "x/sub", "x/sub/c"]),
        (("none*",), "/x/", []),
    ],
)
def test_where_things_go(tree: Path, source: Path, paths: tuple[str, ...], to: str, found: list[str]) -> None:
    copy(tree, source, *paths, to=to)
    assert names(tree) == found


def test_links_of_the_destination_are_followed_inside_of_the_tree_alone(tree: Path, source: Path) -> None:
    outside = tree.parent / "outside"
    outside.mkdir()
    (tree / "away").symlink_to(outside)
    (tree / "up").symlink_to("../../../../../../real")
    (tree / "real").mkdir()
    (tree / "near").symlink_to("/real")
    (tree / "file-link").symlink_to("/real/told")
    for to in ("/away/x", "/up/y", "/near/x", "/file-link"):
        copy(tree, source, "a", to=to)
    assert list(outside.iterdir()) == []
    assert (tree / str(outside).lstrip("/") / "x").read_text() == "A"
    assert (tree / "real/x").read_text() == (tree / "real/y").read_text() == "A"
    assert (tree / "real/told").read_text() == "A"
    assert (tree / "file-link").is_symlink()


def test_a_link_that_stands_in_a_file_s_place_is_replaced_and_not_written_through(
    tree: Path, source: Path
) -> None:
    victim = tree.parent / "victim"
    victim.write_text("precious")
    (tree / "b").symlink_to(victim)
    copy(tree, source, "dir", to="/")
    assert victim.read_text() == "precious"
    assert not (tree / "b").is_symlink()


def test_a_file_takes_no_directory_s_place_and_the_other_way_round(tree: Path, source: Path) -> None:
    (tree / "b").mkdir()
    (tree / "b/kept").touch()
    with pytest.raises(InputError, match="cannot copy a file to /b, which is a directory"):
        copy(tree, source, "dir", to="/")
    assert (tree / "b/kept").exists()
    (tree / "x").mkdir()
    (tree / "x/sub").write_text("a file")
    with pytest.raises(InputError, match="which is none"):
        copy(tree, source, "dir/sub", "dir", to="/x/")
    (tree / "y").write_text("a file")
    for path, to in (("dir", "/y"), ("a", "/y/"), ("a", "/y/z")):
        with pytest.raises(InputError, match="there is a file"):
            copy(tree, source, path, to=to)


@pytest.mark.usefixtures("umask")
def test_modes_times_and_xattrs_come_along_whatever_the_umask(tree: Path, source: Path) -> None:
    (source / "a").chmod(0o4751)
    (source / "dir").chmod(0o1777)
    os.setxattr(source / "a", "user.note", b"\0\xff")
    for path in ("a", "dir/b", "dir"):
        os.utime(source / path, ns=(1, 1_600_000_000_123_456_789))
    copy(tree, source, "a", to="/made/a")
    copy(tree, source, ".", to="/all/")
    copied = (tree / "made/a").stat()
    assert stat.S_IMODE(copied.st_mode) == 0o4751
    assert copied.st_mtime_ns == 1_600_000_000_123_456_789
    assert os.getxattr(tree / "made/a", "user.note") == b"\0\xff"
    assert stat.S_IMODE((tree / "made").stat().st_mode) == 0o755
    assert stat.S_IMODE((tree / "all/dir").stat().st_mode) == 0o1777
    assert (tree / "all/dir").stat().st_mtime_ns == 1_600_000_000_123_456_789


def test_chmod_is_for_files_and_directories(tree: Path, source: Path) -> None:
    copy(tree, source, "dir", to="/octal/", mode="750")
    copy(tree, source, "dir", to="/symbolic/", mode="go=,u=rwX")
    modes = {path: stat.S_IMODE((tree / path).stat().st_mode) for path in names(tree)}
    assert modes == {
        "octal": 0o750, "octal/b": 0o750, "octal/sub": 0o750, "octal/sub/c": 0o750,
        "symbolic": 0o755, "symbolic/b": 0o600, "symbolic/sub": 0o700, "symbolic/sub/c": 0o600,
    }  # fmt: skip


def test_hard_links_stay_links_of_each_other_and_of_nothing_else(tree: Path, source: Path) -> None:
    os.link(source / "dir/b", source / "dir/sub/same")
    os.link(source / "dir/b", source.parent / "elsewhere")
    copy(tree, source, "dir", to="/x/")
    assert (tree / "x/b").samefile(tree / "x/sub/same")
    assert not (tree / "x/b").samefile(source / "dir/b")
    assert (tree / "x/b").stat().st_nlink == 2


def test_links_fifos_and_sockets_are_copied_as_what_they_are(tree: Path, source: Path) -> None:
    (source / "dir/link").symlink_to("/no/where")
    os.mkfifo(source / "dir/fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(source / "dir/s"))
    copy(tree, source, "dir", to="/x/")
    assert os.readlink(tree / "x/link") == "/no/where"  # noqa: PTH115
    assert stat.S_ISFIFO((tree / "x/fifo").lstat().st_mode)
    assert (tree / "x/s").stat().st_size == 0


def test_holes_are_no_data(tree: Path, source: Path) -> None:
    with (source / "sparse").open("wb") as file:
        file.seek(64 << 20)
        file.write(b"end")
    copy(tree, source, "sparse", to="/sparse")
    copied = (tree / "sparse").stat()
    assert copied.st_size == (64 << 20) + 3
    assert copied.st_blocks * 512 < 1 << 20


def test_here_documents_are_files_of_mode_0644(tree: Path) -> None:
    operation = CopyOperation(
        ContextSource(), (), "/made/", (InlineFile("one", "1\n"), InlineFile("two", "\udcff")), owner=MINE
    )
    copy_into(tree, operation, CopySource(None))
    assert (tree / "made/one").read_text() == "1\n"
    assert (tree / "made/two").read_bytes() == b"\xff"
    assert stat.S_IMODE((tree / "made/one").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("0", (0, 0)),
        ("7", (7, 7)),
        ("7:8", (7, 8)),
        ("app", (1001, 1002)),
        ("app:staff", (1001, 50)),
        ("7:staff", (7, 50)),
        ("app:9", (1001, 9)),
        ("nobody", (0, 0)),
    ],
)
def test_owners_are_numbers_or_names_of_the_image(tree: Path, text: str, owner: tuple[int, int]) -> None:
    assert named_owner(text, tree) == owner


@pytest.mark.skipif(os.getuid() != 0, reason="owners are root's to give")
def test_files_of_a_context_are_root_s_and_those_of_an_image_keep_their_owner(
    tree: Path, source: Path
) -> None:
    os.chown(source / "dir/b", 12, 34)
    copy(tree, source, "dir/b", to="/context", owner=None)
    copy(tree, source, "dir/b", to="/image", owner=None, is_context=False)
    copy(tree, source, "dir/b", to="/given/x", owner="app", is_context=False)
    owners = {name: ((tree / name).stat().st_uid, (tree / name).stat().st_gid) for name in names(tree)}
    assert owners == {
        "context": (0, 0), "image": (12, 34), "given": (1001, 1002), "given/x": (1001, 1002),
    }  # fmt: skip


def test_add_unpacks_tars_by_content_and_copies_what_is_none(tree: Path, source: Path) -> None:
    with tarfile.open(source / "archive.txt", "w:xz") as tar:
        tar.add(source / "dir", "inside")
    (source / "notes.tar").write_text("FROM scratch\n" * 100)
    copy(tree, source, "archive.txt", "notes.tar", to="/x/", unpack_archives=True)
    assert names(tree) == ["x", "x/inside", "x/inside/b", "x/inside/sub", "x/inside/sub/c", "x/notes.tar"]
    copy(tree, source, "archive.txt", to="/plain")
    assert (tree / "plain").is_file()


def test_workdir_makes_what_is_missing_and_leaves_the_rest(tree: Path) -> None:
    (tree / "there").mkdir(mode=0o700)
    make_directory(tree, MakeDirectory("/there/a/b", MINE))
    assert stat.S_IMODE((tree / "there").stat().st_mode) == 0o700
    assert stat.S_IMODE((tree / "there/a/b").stat().st_mode) == 0o755
    (tree / "file").touch()
    with pytest.raises(InputError, match="there is a file"):
        make_directory(tree, MakeDirectory("/file/x", MINE))


def test_a_number_that_no_account_has_is_refused(tree: Path) -> None:
    for text in ("99999999999", "1:99999999999", "1" * 5000):
        with pytest.raises(InputError, match="beyond the largest user or group number"):
            named_owner(text, tree)
