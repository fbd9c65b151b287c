"""Shapes: what a msgpack value must look like, and the typed value it stands for.

Every byte from a peer, an agent or a tracker passes through a Shape before anything looks at it: types are exact,
integers bounded, byte strings and lists capped. A record is a msgpack array in the order of its dataclass's fields;
a newer version may append fields, which an older one skips, and missing trailing fields take their defaults, so that
versions can mix during an upgrade.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any, Generic, TypeVar

import msgpack

from agent.content.digest import Digest
from agent.content.errors import InputError, PeerError

T = TypeVar("T")
R = TypeVar("R")


class Malformed(PeerError):
    """A message that is not of the agreed shape."""


@dataclass(frozen=True, slots=True)
class Shape(Generic[T]):
    """`decode` raises Malformed; `encode` gives what msgpack packs."""

    decode: Callable[[Any], T]
    encode: Callable[[T], Any]


def _same(value: Any) -> Any:
    return value


def _shown(value: Any) -> str:
    """For error texts. (A list could be megabytes of text, and nested deeper than repr can go.)"""
    return repr(value)[:30] if type(value) in (int, float, bool) else type(value).__name__


def uint(limit: int = 1 << 53) -> Shape[int]:
    """An integer from 0 to `limit`, inclusive."""

    def decode(value: Any) -> int:
        if type(value) is not int or not 0 <= value <= limit:
            raise Malformed(f"expected an integer of 0 to {limit}, got {_shown(value)}")
        return value

    return Shape(decode, _same)


def _decode_flag(value: Any) -> bool:
    if type(value) is not bool:
        raise Malformed(f"expected true or false, got {_shown(value)}")
    return value


FLAG: Shape[bool] = Shape(_decode_flag, _same)


def seconds(limit: float = 1e10) -> Shape[float]:
    """A finite number from 0 to `limit`."""

    def decode(value: Any) -> float:
        if type(value) not in (int, float) or not 0 <= value <= limit:
            raise Malformed(f"expected seconds of 0 to {limit:.0f}, got {_shown(value)}")
        return float(value)

    return Shape(decode, _same)


def octets(limit: int, exactly: int | None = None) -> Shape[bytes]:
    """A byte string of at most `limit` bytes, or of `exactly` so many."""

    def decode(value: Any) -> bytes:
        if type(value) is not bytes or len(value) > limit or (exactly is not None and len(value) != exactly):
            raise Malformed(
                f"expected {'at most' if exactly is None else 'exactly'} {exactly or limit} bytes"
            )
        return value

    return Shape(decode, _same)


def text(limit: int = 300) -> Shape[str]:
    """Printable text of at most `limit` characters."""

    def decode(value: Any) -> str:
        if type(value) is not str or len(value) > limit or not value.isprintable():
            raise Malformed(f"expected printable text of at most {limit} characters")
        return value

    return Shape(decode, _same)


def note(limit: int = 200) -> Shape[str]:
    """Like text, for people to read: encoding makes it fit, since an error's text may be long and have line breaks."""

    def encode(value: str) -> str:
        return "".join(char if char.isprintable() else " " for char in value[:limit])

    return Shape(text(limit).decode, encode)


def _decode_digest(value: Any) -> Digest:
    if type(value) is not str:
        raise Malformed("expected a digest")
    try:
        return Digest.parse(value)
    except InputError as error:
        raise Malformed(str(error)) from None


DIGEST: Shape[Digest] = Shape(_decode_digest, str)


def optional(inner: Shape[T]) -> Shape[T | None]:
    return Shape(
        lambda value: None if value is None else inner.decode(value),
        lambda value: None if value is None else inner.encode(value),
    )


def listing(inner: Shape[T], limit: int) -> Shape[tuple[T, ...]]:
    """At most `limit` items."""

    def decode(value: Any) -> tuple[T, ...]:
        if type(value) is not list or len(value) > limit:
            raise Malformed(f"expected a list of at most {limit} items")
        return tuple([inner.decode(item) for item in value])

    return Shape(decode, lambda items: [inner.encode(item) for item in items])


def record(kind: type[R], *shapes: Shape[Any]) -> Shape[R]:
    """A dataclass, field by field. Fields with defaults may be missing at the end."""
    names = [spec.name for spec in fields(kind)]  # type: ignore[arg-type]
    required = sum(spec.default is MISSING and spec.default_factory is MISSING for spec in fields(kind))  # type: ignore[arg-type]
    if len(names) != len(shapes):
        raise TypeError(f"{kind.__name__} has {len(names)} fields, {len(shapes)} shapes were given")

    def decode(value: Any) -> R:
        if type(value) is not list or len(value) < required:
            raise Malformed(f"{kind.__name__}: expected a list of at least {required} fields")
        return kind(*[shape.decode(item) for shape, item in zip(shapes, value, strict=False)])

    def encode(value: R) -> list[Any]:
        return [shape.encode(getattr(value, name)) for name, shape in zip(names, shapes, strict=True)]

    return Shape(decode, encode)


def pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def unpack(data: bytes | bytearray | memoryview) -> Any:
    """One msgpack value, and nothing after it. Raises Malformed."""
    try:
        return msgpack.unpackb(data, raw=False, strict_map_key=True, max_ext_len=0)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise Malformed(f"not a msgpack value: {type(error).__name__}") from None
