"""`open_plain`: a stream without its compression, by what its first bytes say: gzip, zstd, bzip2, xz, or none.

Invariant: memory stays flat, and what grows beyond every proportion (a bomb) is refused while it is read. Several gzip
members or zstd frames, skippable ones too, follow each other as in one stream. What a media type says is not asked:
runtimes look at the bytes as well.
"""

import bz2
import lzma
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import zstandard
from zlib_ng import zlib_ng

from agent.content.errors import ContentError
from agent.images.tar_reader import PIECE_BYTES, Read

Compression = Literal["none", "gzip", "zstd", "bzip2", "xz"]

_MAGIC: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
)
MAGIC_BYTES = 6
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
_MAX_WINDOW_BYTES = 128 * 1024 * 1024
_GZIP_INPUT_BYTES = 128 * 1024
_GZIP_WBITS = 31
_GZIP_ERROR: type[Exception] = zlib_ng.error  # type: ignore[assignment]  # its types call it an instance
_ZSTD_INPUT_BYTES = 2048  # a block of 4 bytes can become 128 KiB, and all of it comes at once


@dataclass(frozen=True, slots=True)
class BombLimits:
    """Refused is what passes both: more than `free_bytes`, and more than `ratio` times what it came from."""

    free_bytes: int = 1 << 30
    ratio: int = 500


DEFAULT_LIMITS = BombLimits()


class _Decompressor(Protocol):
    def read(self, limit_bytes: int) -> bytes: ...


class Counted:
    """A `Read` that counts what went through, and keeps the first bytes for a look ahead."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._ahead = b""
        self.count = 0

    def peek(self, size: int) -> bytes:
        while len(self._ahead) < size and (piece := self._read(size - len(self._ahead))):
            self._ahead += piece
        return self._ahead[:size]

    def read(self, limit_bytes: int = -1) -> bytes:
        limit_bytes = PIECE_BYTES if limit_bytes < 0 else limit_bytes
        if self._ahead:
            piece, self._ahead = self._ahead[:limit_bytes], self._ahead[limit_bytes:]
        else:
            piece = self._read(limit_bytes)
        self.count += len(piece)
        return piece


@dataclass(frozen=True, slots=True)
class PlainStream:
    compression: Compression
    read: Read


def open_plain(read: Read, limits: BombLimits = DEFAULT_LIMITS) -> PlainStream:
    """Reads a few bytes to tell the compression. Reading raises ContentError for what does not decompress."""
    source = Counted(read)
    compression = detect(source.peek(MAGIC_BYTES))
    if compression == "none":
        return PlainStream(compression, source.read)
    inner = _open(compression, source)
    plain_bytes = 0

    def read_plain(limit_bytes: int) -> bytes:
        nonlocal plain_bytes
        try:
            piece = inner.read(limit_bytes)
        except (_GZIP_ERROR, zstandard.ZstdError, lzma.LZMAError, OSError, EOFError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise ContentError(f"{compression} data is damaged: {str(error)[:100]}") from None
        plain_bytes += len(piece)
        if plain_bytes > limits.free_bytes and plain_bytes > limits.ratio * source.count:
            raise ContentError(
                f"{source.count} bytes of {compression} expand to more than {plain_bytes}: refused as a bomb"
            )
        return piece

    return PlainStream(compression, read_plain)


def detect(head: bytes) -> Compression:
    if head[1:4] == _ZSTD_SKIPPABLE and head[:1] and head[0] & 0xF0 == 0x50:
        return "zstd"
    return next((name for magic, name in _MAGIC if head.startswith(magic)), "none")


class _Gzip:
    """Members one after the other, zeros behind them. zlib-ng reads twice as fast as what Python's gzip is made of."""

    def __init__(self, source: Counted) -> None:
        self._source = source
        self._member: Any = None
        self._rest = b""

    def read(self, limit_bytes: int) -> bytes:
        while self._member is not None or self._begin():
            data = self._rest or self._source.read(_GZIP_INPUT_BYTES)
            plain: bytes = self._member.decompress(data, limit_bytes)
            if self._member.eof:
                self._rest, self._member = self._member.unused_data, None
            elif not data and not plain:
                raise EOFError("it ends too early")
            else:
                self._rest = self._member.unconsumed_tail
            if plain:
                return plain
        return b""

    def _begin(self) -> bool:
        """A member; False at the end."""
        while not (data := self._rest.lstrip(b"\0")):
            self._rest = self._source.read(_GZIP_INPUT_BYTES)
            if not self._rest:
                return False
        self._rest, self._member = data, zlib_ng.decompressobj(wbits=_GZIP_WBITS)
        return True


class _Zstd:
    """Frames one after the other. zstandard's own stream reader takes a truncated frame for an end."""

    def __init__(self, source: Counted) -> None:
        self._source = source
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
        self._frame: Any = None
        self._rest = b""
        self._plain = b""

    def read(self, limit_bytes: int) -> bytes:
        while not self._plain:
            data = self._rest or self._source.read(_ZSTD_INPUT_BYTES)
            if not data:
                if self._frame is not None:
                    raise EOFError("it ends too early")
                return b""
            self._frame = self._frame or self._decompressor.decompressobj()
            self._plain, self._rest = self._frame.decompress(data), b""
            if self._frame.eof:
                self._rest, self._frame = self._frame.unused_data, None
        piece, self._plain = self._plain[:limit_bytes], self._plain[limit_bytes:]
        return piece


def _open(compression: Compression, source: Counted) -> _Decompressor:
    file: Any = source  # what these want of a file is `read`
    match compression:
        case "gzip":
            return _Gzip(source)
        case "bzip2":
            return bz2.BZ2File(file)
        case "xz":
            return lzma.LZMAFile(file)
        case _:
            return _Zstd(source)
