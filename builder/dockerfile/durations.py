"""Go's durations, as HEALTHCHECK takes them: `30s`, `1m30s`, `1.5h`. PURE."""

import re
from decimal import Decimal

from builder.dockerfile.failure import Malformed

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_MINIMUM_NS = 1_000_000
_MAXIMUM_NS = 2**63 - 1
_MAX_CHARACTERS = 64


def parse_duration(text: str, name: str) -> int:
    """Nanoseconds of a flag `name`; 0, and nothing, stand for Docker's default. Raises Malformed."""
    if not text:
        return 0
    body = text.removeprefix("+")
    parts = list(_PART.finditer(body)) if len(body) <= _MAX_CHARACTERS else []
    if (body != "0" and "".join(part[0] for part in parts) != body) or not body:
        raise Malformed(f"--{name}={text} is no duration: expected one such as 30s, 1m30s or 1.5h", text)
    nanoseconds = int(sum(Decimal(part[1]) * _NANOSECONDS[part[2]] for part in parts))
    if nanoseconds and not _MINIMUM_NS <= nanoseconds <= _MAXIMUM_NS:
        raise Malformed(f"--{name}={text} is not possible: at least 1ms, or 0 for the default", text)
    return nanoseconds
