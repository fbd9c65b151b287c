"""`Content-Range` of an upload's chunk, in the distribution specification's form: `0-499`, without a unit. PURE."""

import re
from dataclasses import dataclass

from registry_proxy.errors import ErrorCode, RequestRefused

_RANGE = re.compile(r"([0-9]{1,18})-([0-9]{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ChunkRange:
    """The bytes start, ..., last."""

    start: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.start + 1


def parse_chunk_range(text: str) -> ChunkRange:
    """Raises RequestRefused (400)."""
    match = _RANGE.fullmatch(text.strip(" \t"))
    if match is None or int(match[2]) < int(match[1]):
        raise RequestRefused(
            f"Content-Range is {text[:60]!r}: expected FIRST-LAST, such as 0-499",
            ErrorCode.BLOB_UPLOAD_INVALID,
        )
    return ChunkRange(int(match[1]), int(match[2]))


def received_range(size: int) -> str:
    """What has come so far, as `Range` says it; `0-0` at zero bytes, too."""
    return f"0-{max(size - 1, 0)}"
