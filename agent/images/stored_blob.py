"""`stored_pieces`: a blob of the store as it goes out into an archive: verified while it is read.

The disk may have altered it since it was committed; whoever reads it to its end has had the right bytes, or an error.
"""

import os
from collections.abc import Callable, Iterator

from agent.content.digest import Digest
from agent.content.errors import ContentError
from agent.images.compression import MAGIC_BYTES, Compression, PlainStream, detect, open_plain
from agent.images.tar_reader import PIECE_BYTES
from agent.store.disk_errors import disk_error
from agent.store.store import OpenBlob, Store


def open_stored(store: Store, digest: Digest) -> OpenBlob:
    """Raises ContentError where it is not here."""
    blob = store.open_blob(digest)
    if blob is None:
        raise ContentError(f"{digest} is not in the store: pull the image again")
    return blob


def stored_pieces(store: Store, digest: Digest) -> Iterator[bytes]:
    """Raises ContentError where it is not here, or damaged; DiskError."""
    hasher = digest.new_hasher()
    with open_stored(store, digest) as blob:
        read = blob_reader(blob)
        while piece := read(PIECE_BYTES):
            hasher.update(piece)
            yield piece
    if not digest.matches(hasher):
        raise ContentError(f"{digest} is damaged on this disk: `shoal store repair` fetches it again")


def stored_layer(store: Store, digest: Digest) -> Iterator[bytes]:
    """A layer's plain tar."""
    pieces = stored_pieces(store, digest)
    stream = open_plain(reader_of(pieces))
    while piece := stream.read(PIECE_BYTES):
        yield piece
    for _ in pieces:  # to its end, and its digest
        pass


def plain_stream(store: Store, digest: Digest) -> PlainStream:
    return open_plain(reader_of(stored_pieces(store, digest)))


def stored_compression(store: Store, digest: Digest) -> Compression:
    """By its first bytes; the rest is not looked at."""
    with open_stored(store, digest) as blob:
        return detect(blob_reader(blob)(MAGIC_BYTES))


def reader_of(pieces: Iterator[bytes]) -> Callable[[int], bytes]:
    piece, at = b"", 0

    def read(limit_bytes: int) -> bytes:
        nonlocal piece, at
        while at >= len(piece):
            following = next(pieces, None)
            if following is None:
                return b""
            piece, at = following, 0
        start, at = at, min(at + limit_bytes, len(piece))
        return piece[start:at]

    return read


def blob_reader(blob: OpenBlob) -> Callable[[int], bytes]:
    at = 0

    def read(limit_bytes: int) -> bytes:
        nonlocal at
        try:
            piece = os.pread(blob.fd, limit_bytes, at)
        except OSError as error:
            raise disk_error(error, "read a blob", "the store") from error
        at += len(piece)
        return piece

    return read
