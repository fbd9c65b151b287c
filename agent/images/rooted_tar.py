"""`rooted_tar`: a root file system's tar whose names begin at `/`, as one whose names begin at its root.

GNU tar with -P and some backup programs write such names, and everybody who unpacks them as a root file system drops
the slash; a layer does not have them. The members stay what they were otherwise, and in their order.
"""

from collections.abc import Callable
from dataclasses import replace

from agent.images.compression import DEFAULT_LIMITS, open_plain
from agent.images.tar_entry import Kind, TarEntry
from agent.images.tar_reader import Read, TarReader
from agent.images.tar_writer import TarWriter


def rooted_tar(read: Read, write: Callable[[bytes], object]) -> None:
    """`read`: it may be compressed; what is written is not. Raises ContentError."""
    reader, writer = TarReader(open_plain(read, DEFAULT_LIMITS).read), TarWriter(write)
    while (entry := reader.next_entry()) is not None:
        writer.add(_rooted(entry), iter(reader.read, b""))
    writer.end()


def _rooted(entry: TarEntry) -> TarEntry:
    name = entry.name.lstrip("/") or "./"
    if entry.kind is Kind.HARD_LINK:
        return replace(entry, name=name, link_name=entry.link_name.lstrip("/"))
    return replace(entry, name=name)
