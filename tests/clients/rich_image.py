"""`rich_image`: an image whose layers have every kind of file there is, and hide and replace what is below them."""

from collections.abc import Iterator, Sequence
from typing import Any

from agent.images.tar_entry import END_OF_TAR, Kind, TarEntry
from tests.fakes.images import Compression, Image, Layer, _layer, busybox_layer, make_image
from tests.fakes.images import Kind as ImageKind

_2020 = 1_577_836_800 * 1_000_000_000
_CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")

Member = tuple[TarEntry, bytes]


def entries_layer(members: Sequence[Member], compression: Compression = "none") -> Layer:
    def pieces() -> Iterator[bytes]:
        for entry, data in members:
            yield entry.encode() + data + bytes(entry.padding_bytes)
        yield END_OF_TAR

    return _layer(pieces, compression)


def member(name: str, data: bytes = b"", **fields: Any) -> Member:
    values: dict[str, Any] = {"mtime_ns": _2020, "size": len(data)} | fields
    return TarEntry(name, **values), data


def directory(name: str, **fields: Any) -> Member:
    return member(f"{name}/", kind=Kind.DIRECTORY, **({"mode": 0o755} | fields))


def lower_members() -> list[Member]:
    long = "long/" + "n" * 120
    return [
        directory("tree", mode=0o1777, uid=1000, gid=2000),
        member("tree/plain", b"plain", mode=0o640, uid=1000, gid=2000),
        member("tree/setuid", b"#!", mode=0o4755),
        member("tree/capable", b"elf", pax={"SCHILY.xattr.security.capability": _CAPABILITY}),
        member("tree/link", kind=Kind.SYMLINK, link_name="plain", mode=0o777),
        member("tree/broken", kind=Kind.SYMLINK, link_name="/no/where", mode=0o777),
        member("tree/hard", kind=Kind.HARD_LINK, link_name="tree/plain"),
        member("tree/pipe", kind=Kind.FIFO, mode=0o600),
        member("tree/null", kind=Kind.CHARACTER_DEVICE, device=(1, 3), mode=0o666),
        member("tree/empty"),
        member("tree/gr\u00fc\u00df", "gr\u00fc\u00df".encode()),
        directory("long"),
        directory(long),
        member(f"{long}/{'f' * 130}", b"far"),
        directory("hidden"),
        member("hidden/gone", b"1"),
        member("hidden/stays", b"2"),
        directory("opaque"),
        member("opaque/gone", b"1"),
        directory("replaced"),
        member("replaced/gone", b"1"),
        member("becomes-directory", b"1"),
    ]


def upper_members() -> list[Member]:
    later = _2020 + 86_400 * 1_000_000_000
    return [
        directory("hidden", mode=0o700, mtime_ns=later),
        member("hidden/.wh.gone"),
        member("hidden/new", b"x" * 70_000, mtime_ns=later),
        directory("opaque", mtime_ns=later),
        member("opaque/.wh..wh..opq"),
        member("opaque/own", b"3", mtime_ns=later),
        member("replaced", b"now a file", mtime_ns=later),
        directory("becomes-directory", mtime_ns=later),
        member("becomes-directory/inside", b"4", mtime_ns=later),
        directory("tree", mode=0o755, mtime_ns=later),
        member("tree/setuid", b"#!/bin/sh", mode=0o755, mtime_ns=later),
    ]


def rich_image(kind: ImageKind = "docker", *, compression: Compression = "gzip") -> Image:
    return make_image(
        [
            busybox_layer(compression=compression),
            entries_layer(lower_members(), compression),
            entries_layer(upper_members(), compression),
        ],
        kind=kind,
    )
