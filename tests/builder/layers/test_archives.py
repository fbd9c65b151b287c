"""ADD's archives: told by their content, and whatever is in them nothing outside of the tree is touched.

Bombs: tests/agent/images/test_compression.py.
"""

import bz2
import gzip
import io
import lzma
import os
import stat
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import zstandard

from agent.content.errors import ContentError
from builder.layers.archives import is_archive, unpack_archive, unpack_archive_file
from tests.builder.layers.tars import (
    SECOND_NS,
    Member,
    directory,
    fifo,
    file,
    hard_link,
    reader,
    symlink,
    tar_of,
    xattrs,
)

ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
}
ROOT = (os.getuid(), os.getgid())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    tree = tmp_path / "tree"
    (tree / "there").mkdir(parents=True)
    (tree / "there/kept").write_text("kept")
    return tree


def unpack(tree: Path, members: Sequence[Member], inside: str = "/") -> None:
    unpack_archive(reader(tar_of(members)), tree, inside, ROOT)


def zip_file() -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("a", "A" * 1000)
    return body.getvalue()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_compression_is_known_by_its_content(tree: Path, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "archive.bin"
    path.write_bytes(ENCODINGS[encoding](tar_of([directory("d"), file("d/a", b"A" * 100_000)])))
    assert is_archive(path)
    unpack_archive_file(path, tree, "/x", ROOT)
    assert (tree / "x/d/a").read_bytes() == b"A" * 100_000


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"FROM scratch\nCOPY . /\n" * 200, id="a text"),
        pytest.param(b"x" * 512, id="a text of a header's length"),
        pytest.param(b"", id="nothing"),
        pytest.param(bytes(10240), id="zeros"),
        pytest.param(zip_file(), id="a zip"),
        pytest.param(gzip.compress(b"a log\n" * 1000), id="text in gzip"),
        pytest.param(zstandard.compress(b"a log\n" * 1000), id="text in zstd"),
        pytest.param(gzip.compress(os.urandom(10_000))[:100], id="a cut gzip"),
        pytest.param(b"\x1f\x8b", id="gzip's magic alone"),
        pytest.param(b"#" * 257 + b"ustar\x0000" + b"#" * 300, id="a script with a tar's magic"),
    ],
)
def test_what_is_no_tar_is_a_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(content)
    assert not is_archive(path)


def test_members_keep_what_they_have(tree: Path) -> None:
    pax = xattrs({"user.note": b"\0x"})
    unpack(
        tree,
        [
            directory("d", mode=0o1777, mtime_ns=7 * SECOND_NS),
            file("d/a", b"A", mode=0o4755, mtime_ns=5 * SECOND_NS, pax=pax),
            symlink("d/link", "/etc/passwd"),
            hard_link("d/same", "d/a"),
            fifo("d/fifo"),
        ],
        "/x",
    )
    status = (tree / "x/d/a").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns, status.st_nlink) == (0o4755, 5 * SECOND_NS, 2)
    assert os.getxattr(tree / "x/d/a", "user.note") == b"\0x"
    assert stat.S_IMODE((tree / "x/d").stat().st_mode) == 0o1777
    assert (tree / "x/d").stat().st_mtime_ns == 7 * SECOND_NS
    assert os.readlink(tree / "x/d/link") == "/etc/passwd"  # noqa: PTH115
    assert stat.S_ISFIFO((tree / "x/d/fifo").lstat().st_mode)


def test_what_is_there_stays_or_is_replaced(tree: Path) -> None:
    unpack(tree, [directory("there"), file("there/new", b"N")])
    assert (tree / "there/kept").read_text() == "kept"
    unpack(tree, [file("there/kept", b"new")])
    assert (tree / "there/kept").read_text() == "new"
    unpack(tree, [file("there", b"a file now")])
    assert (tree / "there").read_bytes() == b"a file now"


@pytest.mark.parametrize("name", ["../outside/x", "a/../../outside/x", "..", "d/.."])
def test_names_that_lead_up_are_refused(tree: Path, name: str) -> None:
    with pytest.raises(ContentError):
        unpack(tree, [file(name, b"x")])
    with pytest.raises(ContentError):
        unpack(tree, [file("a", b"a"), hard_link("b", name)])
    assert list((tree.parent / "outside").iterdir()) == []


def test_absolute_names_count_from_the_destination(tree: Path) -> None:
    unpack(tree, [file("/etc/x", b"x"), hard_link("y", "/etc/x")], "/there")
    assert (tree / "there/y").samefile(tree / "there/etc/x")


@pytest.mark.parametrize("target", ["../../outside", "/outside", "{outside}", "../../../../../../{outside}"])
def test_links_lead_nowhere_outside(tree: Path, target: str) -> None:
    outside = tree.parent / "outside"
    (outside / "victim").write_text("precious")
    link = symlink("way", target.format(outside=outside))
    unpack(tree, [link, file("way/x", b"x")])
    with pytest.raises(ContentError, match="to what is no file"):
        unpack(tree, [link, hard_link("stolen", "way/victim")])
    assert [path.name for path in outside.iterdir()] == ["victim"]
    assert (outside / "victim").read_text() == "precious"
    assert not (tree / "stolen").exists()


def test_a_link_in_a_file_s_place_is_not_written_through(tree: Path) -> None:
    victim = tree.parent / "outside/victim"
    victim.write_text("precious")
    unpack(tree, [symlink("a", str(victim)), file("a", b"new", mode=0o777)])
    assert victim.read_text() == "precious"
    assert (tree / "a").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["./", "/", ".", "././"])
def test_the_root_can_only_be_a_directory(tree: Path, name: str) -> None:
    for member in (file(name, b"x"), symlink(name, "/there"), fifo(name)):
        with pytest.raises(ContentError):
            unpack(tree, [member])
    assert (tree / "there/kept").read_text() == "kept"
    unpack(tree, [directory(name.rstrip("/") or ".", mode=0o700)])
    assert stat.S_IMODE(tree.stat().st_mode) == 0o700


def test_a_member_below_a_file_is_refused(tree: Path) -> None:
    with pytest.raises(ContentError, match="which is no directory"):
        unpack(tree, [file("a", b"x"), file("a/b", b"x")])


@pytest.mark.parametrize("cut", [100, 1000, 9000])
def test_an_archive_that_ends_too_early_is_refused(tree: Path, cut: int) -> None:
    whole = gzip.compress(tar_of([file("a", os.urandom(10_000))]))
    with pytest.raises(ContentError):
        unpack_archive(reader(whole[:-cut]), tree, "/", ROOT)
