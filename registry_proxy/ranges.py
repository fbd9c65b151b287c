"""Byte ranges of RFC 9110, section 14: which bytes of a blob a `Range` header asks for. PURE.

What is malformed, in another unit or excessive is ignored, as the RFC wants or allows (the whole blob is always a
right answer). Two cases are unsatisfiable (416) because registries' clients rely on it: a start at or past the end,
and a last byte before the first (`500-0`; the RFC would ignore it, the distribution specification does not).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_RANGES = 1024  # newer podman asks for the chunks of a zstd:chunked layer by up to this many at once
_UNIT = "bytes="
_SPEC = re.compile(r"([0-9]*)-([0-9]*)", re.ASCII)
_MAX_DIGITS = 19
_MAX_OVERLAPS = 2  # RFC 9110 14.2: more than two overlapping ranges are a sign of an attack


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`start` up to, not including, `stop`: never empty, always inside the blob."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Whole:
    """No range applies: 200."""


@dataclass(frozen=True, slots=True)
class Partial:
    """206: one range, or several in the order they were asked for."""

    ranges: tuple[ByteRange, ...]


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """416 with `Content-Range: bytes */size`."""


Selection = Whole | Partial | Unsatisfiable


def select_ranges(header: str | None, size: int) -> Selection:
    """What `header`, the value of Range, selects of `size` bytes."""
    if header is None or header[: len(_UNIT)].lower() != _UNIT:
        return Whole()
    specs = [spec.strip(" \t") for spec in header[len(_UNIT) :].split(",")]
    specs = [spec for spec in specs if spec]  # a list may have empty elements: RFC 9110 5.6.1.2
    matches = [match for spec in specs if (match := _SPEC.fullmatch(spec)) and spec != "-"]
    if not specs or len(matches) != len(specs) or len(specs) > MAX_RANGES:
        return Whole()
    if size == 0 and all(not match[1] for match in matches):
        return Whole()  # the last n bytes of nothing: no Content-Range could say it
    ranges = [found for match in matches if (found := _resolve(match[1], match[2], size)) is not None]
    if not ranges:
        return Unsatisfiable()
    return Whole() if _is_excessive(ranges, size) else Partial(tuple(ranges))


def _resolve(first: str, last: str, size: int) -> ByteRange | None:
    """None where it cannot be satisfied."""
    if not first:
        start, stop = max(size - _number(last), 0), size
    else:
        start, stop = _number(first), min(_number(last) + 1, size) if last else size
    return ByteRange(start, stop) if start < stop else None


def _number(digits: str) -> int:
    """Any count of digits is well formed; past the largest blob they all mean the same."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _is_excessive(ranges: Sequence[ByteRange], size: int) -> bool:
    """More bytes than the whole, or overlaps beyond what a client could mean."""
    if len(ranges) == 1:
        return False
    ordered = sorted(ranges, key=lambda r: (r.start, r.stop))
    overlaps = 0
    furthest = ordered[0].stop
    for current in ordered[1:]:
        overlaps += current.start < furthest
        furthest = max(furthest, current.stop)
    return overlaps > _MAX_OVERLAPS or sum(r.length for r in ranges) > size
