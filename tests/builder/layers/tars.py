"""Layers' tars for tests: members that belong to whoever runs the tests, so that these need no root."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace

from agent.images.tar_entry import XATTR_PREFIX, Kind, TarEntry
from agent.images.tar_writer import TarWriter

SECOND_NS = 1_000_000_000
Member = TarEntry | tuple[TarEntry, bytes]


def file(name: str, data: bytes = b"", **said: object) -> Member:
    return _mine(TarEntry(name, Kind.FILE, size=len(data)), said), data


def directory(name: str, **said: object) -> Member:
    return _mine(TarEntry(f"{name}/", Kind.DIRECTORY, mode=0o755), said)


def symlink(name: str, target: str, **said: object) -> Member:
    return _mine(TarEntry(name, Kind.SYMLINK, link_name=target, mode=0o777), said)


def hard_link(name: str, target: str, **said: object) -> Member:
    return _mine(TarEntry(name, Kind.HARD_LINK, link_name=target), said)


def fifo(name: str, **said: object) -> Member:
    return _mine(TarEntry(name, Kind.FIFO), said)


def device(name: str, major: int, minor: int, **said: object) -> Member:
    return _mine(TarEntry(name, Kind.CHARACTER_DEVICE, device=(major, minor)), said)


def xattrs(values: dict[str, bytes]) -> dict[str, bytes]:
    """As `pax=` of a member."""
    return {XATTR_PREFIX + name: value for name, value in values.items()}


def tar_of(members: Iterable[Member]) -> bytes:
    pieces: list[bytes] = []
    writer = TarWriter(pieces.append)
    for member in members:
        entry, data = member if isinstance(member, tuple) else (member, b"")
        writer.add(entry, [data] if data else [])
    writer.end()
    return b"".join(pieces)


def reader(data: bytes) -> Callable[[int], bytes]:
    at = 0

    def read(limit_bytes: int) -> bytes:
        nonlocal at
        piece = data[at : at + limit_bytes]
        at += len(piece)
        return piece

    return read


def _mine(entry: TarEntry, said: dict[str, object]) -> TarEntry:
    mine = replace(entry, uid=os.geteuid(), gid=os.getegid(), mtime_ns=1_000 * SECOND_NS)
    return replace(mine, **said)  # type: ignore[arg-type]
