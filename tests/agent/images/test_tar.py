"""Reading tars that nobody trusts, and writing such as everybody reads."""

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.errors import ContentError
from agent.images.tar_entry import END_OF_TAR, Kind, TarEntry, safe_path
from agent.images.tar_reader import TarReader
from agent.images.tar_writer import TarWriter

Member = tuple[TarEntry, bytes]


def tar(*members: Member) -> bytes:
    written = io.BytesIO()
    writer = TarWriter(written.write)
    for entry, data in members:
        writer.add(entry, [data] if data else [])
    writer.end()
    return written.getvalue()


def members_of(body: bytes, piece_bytes: int | None = None, **limits: int) -> list[Member]:
    stream = io.BytesIO(body)
    read: Callable[[int], bytes] = stream.read
    if piece_bytes is not None:
        read = lambda limit: stream.read(min(limit, piece_bytes))  # noqa: E731
    reader, found = TarReader(read, **limits), []
    while (entry := reader.next_entry()) is not None:
        found.append((entry, b"".join(iter(reader.read, b""))))
    return found


def file(name: str, data: bytes = b"", **fields: object) -> Member:
    return TarEntry(name, size=len(data), **fields), data  # type: ignore[arg-type]


_names = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=150)
_entries = st.builds(
    TarEntry,
    name=st.lists(_names, min_size=1, max_size=4).map("/".join),
    kind=st.sampled_from(list(Kind)),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**40),
    gid=st.integers(0, 2**21),
    mtime_ns=st.integers(-(10**18), 4 * 10**18),
    link_name=_names,
    user=st.text("abc\u00fc", max_size=40),
    pax=st.dictionaries(st.just("SCHILY.xattr.security.capability"), st.binary(max_size=60)),
)


@given(st.lists(st.tuples(_entries, st.binary(max_size=2000)), max_size=4), st.integers(1, 700))
def test_what_is_written_is_read_again_whatever_the_pieces(members: list[Member], piece_bytes: int) -> None:
    members = [
        (
            replace(entry, size=len(data) if entry.kind is Kind.FILE else 0),
            data if entry.kind is Kind.FILE else b"",
        )
        for entry, data in members
    ]
    assert members_of(tar(*members), piece_bytes) == members


@given(st.binary(max_size=3000))
def test_any_bytes_are_a_tar_or_a_content_error(body: bytes) -> None:
    try:
        members_of(body)
    except ContentError:
        pass


@given(st.integers(0, 4000), st.integers(1, 255))
def test_a_damaged_byte_never_gives_anything_but_members_or_a_content_error(at: int, change: int) -> None:
    body = bytearray(tar(file("a" * 120, b"x" * 700), file("b", b"y", pax={"SCHILY.xattr.a": b"1"})))
    body[at % len(body)] ^= change
    try:
        members_of(bytes(body))
    except ContentError:
        pass


@given(st.integers(1, 3000))
def test_a_tar_that_is_cut_within_a_member_is_refused(cut: int) -> None:
    body = tar(file("a", b"x" * 1500), file("b", b"y" * 900))
    short = body[: max(len(body) - len(END_OF_TAR) - cut, 1)]
    if len(short) in (0, 512 + 1536, 512 + 1536 + 1024 + 512):
        return  # an end between members is an end
    with pytest.raises(ContentError, match="truncated"):
        members_of(short)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_what_pythons_own_tarfile_writes_is_read(form: int) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=form) as archive:
        for name in ("short", "d/" + "n" * 90, "e" * 100 + "/" + "f" * 90):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.uid, entry.uname = 5, 1_700_000_000, 7, "user"
            archive.addfile(entry, io.BytesIO(b"hello"))
    found = members_of(written.getvalue())
    assert [(entry.name[:5], entry.uid, entry.user, data) for entry, data in found] == [
        ("short", 7, "user", b"hello"),
        ("d/nnn", 7, "user", b"hello"),
        ("eeeee", 7, "user", b"hello"),
    ]
    assert {entry.mtime_ns for entry, _ in found} == {1_700_000_000 * 10**9}


def test_what_is_written_is_read_by_pythons_own_tarfile() -> None:
    body = tar(
        file("\u00fc" * 80, b"1"),
        (TarEntry("dir/", Kind.DIRECTORY, mode=0o1777), b""),
        (TarEntry("l", Kind.SYMLINK, link_name="t" * 200), b""),
        (TarEntry("null", Kind.CHARACTER_DEVICE, device=(1, 3)), b""),
    )
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        found = archive.getmembers()
    assert [member.name for member in found] == ["\u00fc" * 80, "dir", "l", "null"]
    assert found[2].linkname == "t" * 200
    assert (found[3].devmajor, found[3].devminor) == (1, 3)


def _raw(flag: bytes, size: int, body: bytes = b"") -> bytes:
    header = bytearray(TarEntry("x", size=size).encode())
    header[156:157] = flag
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + body


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (_raw(b"x", 2_000_000), "extended header of 2000000 bytes"),
        (_raw(b"L", 2_000_000), "extended header of 2000000 bytes"),
        (_raw(b"x", 10, b"nonsense".ljust(512, b"\0")), "malformed pax header"),
        (_raw(b"x", 12, b"12 size=-50\n".ljust(512, b"\0")) + TarEntry("x").encode(), "pax number"),
        (_raw(b"S", 0), "'x' is sparse: make the tar without --sparse"),
        (_raw(b"M", 0), "unsupported type"),
        (_raw(b"x", 22, b"22 GNU.sparse.major=1\n".ljust(512, b"\0")) + TarEntry("x").encode(), "sparse"),
        (_raw(b"x", 8, b"9 a=bc\n\n".ljust(512, b"\0")), "malformed pax header"),
        (b"x" * 512, "malformed number"),
        (bytes(512) + TarEntry("late").encode(), "after its end"),
    ],
)
def test_hostile_and_odd_headers_are_refused(body: bytes, words: str) -> None:
    with pytest.raises(ContentError, match=words):
        members_of(body + END_OF_TAR)


def test_a_tar_of_too_many_members_is_refused() -> None:
    body = tar(*(file(str(number)) for number in range(20)))
    assert len(members_of(body, max_entries=20)) == 20
    with pytest.raises(ContentError, match="more than 19 members"):
        members_of(body, max_entries=19)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "..", "a/..", "a\0b", "x" * 5000])
def test_names_that_lead_out_of_the_root_are_refused(name: str) -> None:
    with pytest.raises(ContentError):
        safe_path(name)


@pytest.mark.parametrize(("name", "path"), [("./a//b/", "a/b"), ("a", "a"), ("./", ""), ("a/..b", "a/..b")])
def test_names_inside_the_root_have_one_spelling(name: str, path: str) -> None:
    assert safe_path(name) == path


def test_a_file_that_changes_while_it_is_written_spoils_no_tar_silently() -> None:
    writer = TarWriter(lambda data: None)
    for pieces in ([b"short"], [b"much too long"]):
        with pytest.raises(ContentError, match="changed while it was read"):
            writer.add(TarEntry("x", size=8), pieces)
