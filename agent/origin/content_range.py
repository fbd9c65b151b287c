"""`ContentRange`: which bytes a 206 carries (RFC 9110 14.4), and the Range header that asks for them. PURE."""

import re
from dataclasses import dataclass

_SATISFIED = re.compile(r"bytes\s+([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)
_UNSATISFIED = re.compile(r"bytes\s+\*/([0-9]{1,18})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Bytes `start` to `stop` (exclusive) of `total` (None where it was not said)."""

    start: int
    stop: int
    total: int | None

    @classmethod
    def parse(cls, text: str) -> "ContentRange | None":
        """None for anything that is not one consistent range."""
        match = _SATISFIED.fullmatch(text.strip())
        if match is None:
            return None
        start, stop, total = int(match[1]), int(match[2]) + 1, None if match[3] == "*" else int(match[3])
        if stop <= start or (total is not None and stop > total):
            return None
        return cls(start, stop, total)


def unsatisfied_total(text: str) -> int | None:
    """The whole size that a 416 tells (`bytes */N`)."""
    match = _UNSATISFIED.fullmatch(text.strip())
    return int(match[1]) if match else None


def range_header(start: int, stop: int | None) -> str | None:
    """`stop` is exclusive; None where the whole content is asked for, which needs no header."""
    if start == 0 and stop is None:
        return None
    return f"bytes={start}-{'' if stop is None else stop - 1}"
