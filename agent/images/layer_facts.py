"""`read_layer`: what a layer is: its diffID, its size without compression, and that its tar can be unpacked safely."""

import hashlib
from dataclasses import dataclass

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.errors import ContentError
from agent.images.compression import DEFAULT_LIMITS, BombLimits, Compression, open_plain
from agent.images.tar_entry import Kind, safe_path
from agent.images.tar_reader import PIECE_BYTES, Read, TarReader

LAYER_TYPES: dict[str, str] = {
    "none": media_types.OCI_LAYER,
    "gzip": media_types.OCI_LAYER_GZIP,
    "zstd": media_types.OCI_LAYER_ZSTD,
}


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """`diff_id`: the digest of the tar; `plain_bytes`: its size; `entries`: of its members. `is_rooted`: no name begins
    with a slash."""

    compression: Compression
    diff_id: Digest
    plain_bytes: int
    entries: int
    is_rooted: bool = True

    @property
    def media_type(self) -> str:
        """KeyError for a compression that layers cannot have."""
        return LAYER_TYPES[self.compression]


def read_layer(
    read: Read, limits: BombLimits = DEFAULT_LIMITS, *, may_be_unrooted: bool = False
) -> LayerFacts:
    """Reads all of it. Raises ContentError for what is no tar, or one with names that lead out of the root; names that
    begin with a slash are among those, unless it `may_be_unrooted`: then that slash is the root.
    """
    stream = open_plain(read, limits)
    hasher, plain_bytes = hashlib.sha256(), 0

    def hashed(limit_bytes: int) -> bytes:
        nonlocal plain_bytes
        piece = stream.read(limit_bytes)
        hasher.update(piece)
        plain_bytes += len(piece)
        return piece

    reader, entries, is_rooted = TarReader(hashed), 0, True
    while (entry := reader.next_entry()) is not None:
        entries += 1
        name, linked = entry.name, entry.link_name if entry.kind is Kind.HARD_LINK else ""
        if may_be_unrooted and (name.startswith("/") or linked.startswith("/")):
            name, linked, is_rooted = name.lstrip("/"), linked.lstrip("/"), False
        check_layer_name(name)
        safe_path(linked)
    while hashed(PIECE_BYTES):  # what stands behind the end belongs to the digest
        pass
    diff_id = Digest("sha256", hasher.hexdigest())
    return LayerFacts(stream.compression, diff_id, plain_bytes, entries, is_rooted)


def check_layer_name(name: str) -> str:
    """The path of a layer's member, whiteouts included. Raises ContentError."""
    path = safe_path(name)
    base = path.rpartition("/")[2]
    if base.startswith(".wh.") and base != ".wh..wh..opq":
        hidden = base.removeprefix(".wh.")
        if hidden in ("", ".", ".."):
            raise ContentError(f"layer has the whiteout {name[:200]!r}")
    return path
