"""Texts of sizes, durations, rates, URLs and patterns, parsed and written back. PURE.

Every parser takes the text alone and raises InputError with what is wrong with it; what would be right is said by the
`Kind` that holds it. `format_x(parse_x(text))` means the same as `text`.
"""

import re
from decimal import Decimal
from urllib.parse import SplitResult, urlsplit

from agent.content.errors import InputError
from agent.content.reference import CLUSTER_REGISTRY, Repository, parse_registry

_NUMBER = r"[0-9]{1,19}(?:\.[0-9]{1,9})?"

_SIZE = re.compile(rf"({_NUMBER})\s*([a-z]*)", re.IGNORECASE | re.ASCII)
_SIZE_UNITS = {"": 1, "b": 1} | {
    f"{prefix}{ending}": base**power
    for power, prefix in enumerate("kmgtp", start=1)
    for ending, base in (("b", 1000), ("ib", 1024))
}
_MAX_BYTES = 2**60

_DURATION = re.compile(rf"(?:{_NUMBER}(?:ms|s|m|h|d))+", re.ASCII)
_DURATION_PART = re.compile(rf"({_NUMBER})(ms|s|m|h|d)", re.ASCII)
_DURATION_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_MAX_DURATION_SECONDS = 10 * 365 * 86_400.0

_RATE_BITS = re.compile(rf"({_NUMBER})\s*([kmgt]?)bit(?:/s)?", re.IGNORECASE | re.ASCII)
_RATE_BIT_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}

_REGISTRY_PATTERN = re.compile(r"[a-zA-Z0-9._\-/:@*?\[\]!]{1,400}", re.ASCII)
_NODE_ID_TEXT = re.compile(r"[0-9a-f]{64}")
_LABEL_TEXT = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,251}[a-zA-Z0-9])?", re.ASCII)
_URL_CHARACTERS = re.compile(r"[!-~]{1,2000}", re.ASCII)


def parse_size(text: str) -> int:
    """Bytes: `10GB` is decimal, `10GiB` binary, a bare number counts bytes."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise InputError("not a size")
    unit = match[2].lower()
    if unit not in _SIZE_UNITS:
        hint = (
            f"; {match[2]} is ambiguous: {match[2]}B counts in 1000s, {match[2]}iB in 1024s"
            if len(unit) == 1
            else ""
        )
        raise InputError(f"unknown unit {match[2][:20]!r}{hint}")
    return _whole_bytes(Decimal(match[1]) * _SIZE_UNITS[unit])


def format_size(size_bytes: int) -> str:
    """The biggest unit that divides it, so that nothing is rounded."""
    for prefix, power in (("P", 5), ("T", 4), ("G", 3), ("M", 2), ("K", 1)):
        for base, ending in ((1024, "iB"), (1000, "B")):
            if size_bytes and size_bytes % base**power == 0:
                return f"{size_bytes // base**power}{prefix}{ending}"
    return f"{size_bytes}B"


def parse_duration(text: str) -> float:
    """Seconds: `500ms`, `30s`, `5m`, `1h30m`, `7d`."""
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        raise InputError("the unit is missing" if re.fullmatch(_NUMBER, text) else "not a duration")
    parts = _DURATION_PART.findall(text)
    seconds = float(sum(Decimal(number) * _DURATION_MILLISECONDS[unit] for number, unit in parts) / 1000)
    if seconds > _MAX_DURATION_SECONDS:
        raise InputError("longer than ten years")
    return seconds


def format_duration(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    if not milliseconds:
        return "0s"
    for unit in ("d", "h", "m", "s"):
        if milliseconds % _DURATION_MILLISECONDS[unit] == 0:
            return f"{milliseconds // _DURATION_MILLISECONDS[unit]}{unit}"
    return f"{milliseconds}ms"


def parse_rate(text: str) -> int:
    """Bytes per second: `50mbit`, `10MB/s`, `10MiB/s`; a bare number counts bytes per second."""
    if bits := _RATE_BITS.fullmatch(text):
        rate = _whole_bytes(Decimal(bits[1]) * _RATE_BIT_UNITS[bits[2].lower()] // 8)
    elif text.isascii() and text.isdigit():
        rate = parse_size(text)
    elif text.endswith("b/s") and text[:-3].rstrip()[-1:].isalpha():
        raise InputError("small b: bits are written bit, as in 50mbit, and bytes B, as in 10MB/s")
    elif text.endswith("/s"):
        rate = parse_size(text[:-2].rstrip())
    else:
        raise InputError("not a rate" if not _SIZE.fullmatch(text) else "a rate needs /s after the size")
    if rate == 0:
        raise InputError("nothing could ever be sent at rate 0; for no limit write none")
    return rate


def format_rate(bytes_per_second: int) -> str:
    return f"{format_size(bytes_per_second)}/s"


def parse_http_url(text: str) -> str:
    """A base URL without its trailing slash. No user information, query or fragment: secrets do not belong here."""
    if not _URL_CHARACTERS.fullmatch(text):
        raise InputError("not a URL")
    parts = _split(text)
    if parts.scheme not in ("http", "https") or not text.lower().startswith(f"{parts.scheme}://"):
        raise InputError("the scheme http:// or https:// is missing")
    if "@" in parts.netloc:
        raise InputError("user name and password do not belong in a URL here")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise InputError("a base URL has neither query nor fragment")
    if not parts.hostname or parts.netloc.endswith(":") or "\\" in text:
        raise InputError("the host is missing or malformed")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise InputError("the host or port is malformed") from None
    return parts


def parse_tag_pattern(text: str) -> str:
    """A glob over the full `registry/name:tag`."""
    if not _REGISTRY_PATTERN.fullmatch(text):
        raise InputError("a pattern consists of what image names consist of and of * ? [ ]")
    if text.count("[") != text.count("]"):
        raise InputError("a bracket is not closed")
    # Without a colon after the last slash, only a wildcard or a set could stand for the colon and the tag.
    if ":" not in text.rpartition("/")[2] and not text.endswith(("*", "?", "]")):
        raise InputError("a pattern covers the tag too")
    return text


def parse_name(text: str) -> str:
    """A name of a node, zone, rack or cluster."""
    if not _LABEL_TEXT.fullmatch(text):
        raise InputError("a name has 1 to 253 letters, digits, and . _ - between them")
    return text


def parse_builder(text: str) -> str:
    """A node's id in hex, or `*`."""
    if text != "*" and not _NODE_ID_TEXT.fullmatch(text.lower()):
        raise InputError("a node's id has 64 hex digits")
    return text.lower()


def parse_push_prefix(text: str) -> str:
    """A repository of the cluster's own, or `*`."""
    return "*" if text == "*" else Repository.of(CLUSTER_REGISTRY, text).name


def parse_push_target(text: str) -> str:
    """A registry, and maybe the beginning of a name there, in its canonical form."""
    registry, slash, name = text.partition("/")
    host = parse_registry(registry)
    if host == CLUSTER_REGISTRY:
        raise InputError("the cluster's own images have no registry")
    if slash:
        Repository.of(host, f"{name}/x")  # docker.io/team is a beginning, and no official image
    return f"{host}/{name}" if slash else host


def _whole_bytes(number: Decimal) -> int:
    if number != number.to_integral_value():
        raise InputError("not a whole number of bytes")
    if number > _MAX_BYTES:
        raise InputError("larger than any disk: at most 1 EiB")
    return int(number)
