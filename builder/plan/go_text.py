"""Values as Go prints them: the history of an image that BuildKit built has such texts. PURE."""

from collections.abc import Iterable

_ESCAPES = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    "\\": "\\\\", '"': '\\"',
}  # fmt: skip
_UNITS_NS = (("h", 3_600_000_000_000), ("m", 60_000_000_000))


def quoted(text: str) -> str:
    """strconv.Quote, the %q of a string."""
    return '"' + "".join(_ESCAPES.get(char) or _visible(char) for char in text) + '"'


def quoted_list(texts: Iterable[str]) -> str:
    """The %q of a []string: `["/bin/sh" "-c" "make"]`."""
    return f"[{' '.join(quoted(text) for text in texts)}]"


def plain_list(texts: Iterable[str]) -> str:
    """The %v of a []string: `[/bin/sh -c make]`."""
    return f"[{' '.join(texts)}]"


def duration(nanoseconds: int) -> str:
    """time.Duration's String: `1m30s`, `1.5s`, `300ms`, `0s`."""
    if nanoseconds < 1_000_000_000:
        return _below_a_second(nanoseconds)
    text, rest, begun = "", nanoseconds, False
    for unit, size_ns in _UNITS_NS:
        count, rest = divmod(rest, size_ns)
        begun = begun or count > 0
        text += f"{count}{unit}" if begun else ""
    return f"{text}{_decimal(rest, 1_000_000_000)}s"


def _below_a_second(nanoseconds: int) -> str:
    if nanoseconds == 0:
        return "0s"
    for unit, size_ns in (("ms", 1_000_000), ("µs", 1000)):
        if nanoseconds >= size_ns:
            return f"{_decimal(nanoseconds, size_ns)}{unit}"
    return f"{nanoseconds}ns"


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
