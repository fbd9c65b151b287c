"""`ChunkLog`: which chunks of a partial blob were verified and written, and their BLAKE3-256, beside the sparse file.

An append-only file of fixed-size records, each with its CRC. It is never fsynced: after a power cut records may be
torn, missing or zero, and the data they speak of may be too. So a record is a hint: what does not check is passed over,
and whoever resumes hashes each recorded chunk again (partial.py).
"""

import os
import struct
import zlib

from agent.content.chunk_map import ChunkMap
from agent.store.layout import pwrite_all

_MAGIC = b"shoalcl1"
_HEADER = struct.Struct("<8sQII")  # magic, blob size, chunk bytes, CRC of what is before
_RECORD = struct.Struct("<II32sI")  # chunk, kind, BLAKE3, CRC of what is before
_CRC_BYTES = 4
_HAVE, _FORGOTTEN = 1, 2
_NO_DIGEST = bytes(32)


class ChunkLog:
    """One writer at a time. Methods raise OSError."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._end = 0

    def load(self, chunk_map: ChunkMap) -> dict[int, bytes]:
        """The recorded chunks; an unusable log, or one of another geometry, is begun anew."""
        data = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
        if data[: _HEADER.size] != _header(chunk_map):
            self._begin(chunk_map)
            return {}
        count = (len(data) - _HEADER.size) // _RECORD.size
        self._end = _HEADER.size + count * _RECORD.size
        recorded: dict[int, bytes] = {}
        for number in range(count):
            _apply(data, _HEADER.size + number * _RECORD.size, chunk_map.count, recorded)
        return recorded

    def append(self, index: int, chunk_digest: bytes) -> None:
        self._append(index, _HAVE, chunk_digest)

    def append_forgotten(self, index: int) -> None:
        self._append(index, _FORGOTTEN, _NO_DIGEST)

    def _append(self, index: int, kind: int, chunk_digest: bytes) -> None:
        # At a position of our own, not O_APPEND: what a full disk cut short is overwritten by the next record.
        record = _with_crc(_RECORD.pack(index, kind, chunk_digest, 0))
        pwrite_all(self._fd, record, self._end)
        self._end += _RECORD.size

    def _begin(self, chunk_map: ChunkMap) -> None:
        os.ftruncate(self._fd, 0)
        pwrite_all(self._fd, _header(chunk_map), 0)
        self._end = _HEADER.size


def _header(chunk_map: ChunkMap) -> bytes:
    return _with_crc(_HEADER.pack(_MAGIC, chunk_map.size, chunk_map.chunk_bytes, 0))


def _with_crc(packed: bytes) -> bytes:
    body = packed[:-_CRC_BYTES]
    return body + zlib.crc32(body).to_bytes(_CRC_BYTES, "little")


def _apply(data: bytes, offset: int, chunk_count: int, recorded: dict[int, bytes]) -> None:
    index, kind, chunk_digest, crc = _RECORD.unpack_from(data, offset)
    if crc != zlib.crc32(data[offset : offset + _RECORD.size - _CRC_BYTES]) or index >= chunk_count:
        return
    if kind == _HAVE:
        recorded[index] = chunk_digest
    elif kind == _FORGOTTEN:
        recorded.pop(index, None)
