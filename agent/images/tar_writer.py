"""`TarWriter`: members of a tar into a stream, one after the other, with flat memory."""

from collections.abc import Callable, Iterable

from agent.content.errors import ContentError
from agent.images.tar_entry import END_OF_TAR, Kind, TarEntry

Write = Callable[[bytes], object]


class TarWriter:
    """Methods raise what `write` raises."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def add(self, entry: TarEntry, pieces: Iterable[bytes] = ()) -> None:
        """`pieces`: the member's data, of exactly `entry.size` bytes; else ContentError, and the tar is spoiled."""
        self._write(entry.encode())
        left = entry.size
        for piece in pieces:
            left -= len(piece)
            if left < 0:
                break
            self._write(piece)
        if left:
            raise ContentError(f"{entry.name[:200]!r} changed while it was read")
        if entry.padding_bytes:
            self._write(bytes(entry.padding_bytes))

    def add_bytes(self, name: str, data: bytes) -> None:
        self.add(TarEntry(name, Kind.FILE, size=len(data)), [data])

    def add_directory(self, name: str) -> None:
        self.add(TarEntry(f"{name}/", Kind.DIRECTORY, mode=0o755))

    def end(self) -> None:
        self._write(END_OF_TAR)
