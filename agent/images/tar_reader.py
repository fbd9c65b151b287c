"""`TarReader`: the members of a tar, one after the other, from a stream that nobody trusts. PURE.

Invariant: memory stays flat whatever the tar says (a pax or long-name header is capped, data is handed on in pieces),
and a header that is damaged, or of a kind that readers disagree on, ends the reading. What a name may be is its user's
to check with `safe_path`; nothing is unpacked here. Both GNU's and pax's long names and numbers are read. Sparse
members are refused (Docker writes none); global pax headers are passed over, as Docker does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from agent.content.errors import ContentError
from agent.images.tar_entry import BLOCK_BYTES, Kind, TarEntry

Read = Callable[[int], bytes]
"""At most so many bytes of a stream; b"" at its end, and only there."""

PIECE_BYTES = 1024 * 1024
MAX_ENTRIES = 1_000_000
_MAX_EXTRA_BYTES = 1024 * 1024  # of one pax or long-name header, as Go's reader
_MAX_SIZE_BYTES = 1 << 46
_ZERO_BLOCK = bytes(BLOCK_BYTES)
_DATA_KINDS = {b"0": Kind.FILE, b"\0": Kind.FILE, b"7": Kind.FILE}
_NUMERIC_PAX = ("uid", "gid", "size")


@dataclass(slots=True)
class _Extra:
    """What the headers before an entry's own say of it."""

    name: bytes | None = None
    link: bytes | None = None
    pax: dict[str, bytes] | None = None


class TarReader:
    """Methods raise ContentError, and whatever `read` raises."""

    def __init__(self, read: Read, max_entries: int = MAX_ENTRIES) -> None:
        self._read_some = read
        self._max_entries = max_entries
        self._entries = 0
        self._left_bytes = 0
        self._padding_bytes = 0

    def next_entry(self) -> TarEntry | None:
        """The next member; what is unread of the one before is passed over. None at the end."""
        self._skip(self._left_bytes + self._padding_bytes)
        self._left_bytes = self._padding_bytes = 0
        extra = _Extra()
        while True:
            block = self._read_header()
            if block is None:
                if extra != _Extra():
                    raise ContentError("tar ends after a header that announces a member")
                return None
            flag = block[156:157]
            if flag in b"xgLK":
                self._note(flag, self._read_extra(_number(block[124:136])), extra)
                continue
            entry = _entry(block, flag, extra)
            self._entries += 1
            if self._entries > self._max_entries:
                raise ContentError(f"tar has more than {self._max_entries} members")
            self._left_bytes, self._padding_bytes = entry.size, entry.padding_bytes
            return entry

    def read(self, limit_bytes: int = PIECE_BYTES) -> bytes:
        """A piece of the current member's data; b"" at its end."""
        if not self._left_bytes:
            return b""
        piece = self._read_some(min(limit_bytes, self._left_bytes))
        if not piece:
            raise ContentError("tar is truncated in the middle of a member")
        self._left_bytes -= len(piece)
        return piece

    def read_all(self, limit_bytes: int) -> bytes:
        """All of a small member. Raises ContentError where it is larger."""
        if self._left_bytes > limit_bytes:
            raise ContentError(f"tar member of {self._left_bytes} bytes: at most {limit_bytes} are accepted")
        return b"".join(iter(self.read, b""))

    def _read_header(self) -> bytes | None:
        block = self._read_exactly(BLOCK_BYTES, at_end_ok=True)
        if block == b"":
            return None
        if block == _ZERO_BLOCK:
            second = self._read_exactly(BLOCK_BYTES, at_end_ok=True)
            if second not in (b"", _ZERO_BLOCK):
                raise ContentError("tar has a member after its end")
            return None
        told = _number(block[148:156])
        plain = block[:148] + b" " * 8 + block[156:]
        signed = sum(byte - 256 if byte > 127 else byte for byte in plain) if told != sum(plain) else told
        if told != signed:
            raise ContentError("tar header does not match its checksum: damaged, or no tar")
        return block

    def _read_extra(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_EXTRA_BYTES:
            raise ContentError(f"tar has an extended header of {size} bytes: at most {_MAX_EXTRA_BYTES}")
        body = self._read_exactly(size)
        self._skip(-size % BLOCK_BYTES)
        return body

    @staticmethod
    def _note(flag: bytes, body: bytes, extra: _Extra) -> None:
        if flag == b"x":
            extra.pax = (extra.pax or {}) | _pax_records(body)
        elif flag == b"L":
            extra.name = body.split(b"\0")[0]
        elif flag == b"K":
            extra.link = body.split(b"\0")[0]

    def _read_exactly(self, size: int, *, at_end_ok: bool = False) -> bytes:
        pieces, left = [], size
        while left:
            piece = self._read_some(left)
            if not piece:
                if at_end_ok and left == size:
                    return b""
                raise ContentError("tar is truncated")
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def _skip(self, size: int) -> None:
        while size:
            piece = self._read_some(min(size, PIECE_BYTES))
            if not piece:
                raise ContentError("tar is truncated in the middle of a member")
            size -= len(piece)


def _entry(block: bytes, flag: bytes, extra: _Extra) -> TarEntry:
    is_ustar = block[257:263] == b"ustar\0"
    name = _field(block[:100])
    if is_ustar and (prefix := _field(block[345:500])):
        name = prefix + b"/" + name
    name = extra.name if extra.name is not None else name
    kind = _DATA_KINDS.get(flag) or _kind(flag, name)
    if flag == b"\0" and name.endswith(b"/"):
        kind = Kind.DIRECTORY  # as tar wrote them before there was a flag
    magic = block[257:262] == b"ustar"
    is_device = kind in (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE)
    device = (_number(block[329:337]), _number(block[337:345])) if magic and is_device else (0, 0)
    entry = TarEntry(
        name=_decode(name),
        kind=kind,
        size=_number(block[124:136]),
        mode=_number(block[100:108]) & 0o7777,
        uid=_number(block[108:116]),
        gid=_number(block[116:124]),
        mtime_ns=_number(block[136:148]) * 1_000_000_000,
        link_name=_decode(extra.link if extra.link is not None else _field(block[157:257])),
        user=_decode(_field(block[265:297])) if magic else "",
        group=_decode(_field(block[297:329])) if magic else "",
        device=device,
    )
    entry = _with_pax(entry, extra.pax) if extra.pax else entry
    if kind is not Kind.FILE:
        entry = replace(entry, size=0)  # links tell the size of what they lead to, and have no data
    if not 0 <= entry.size <= _MAX_SIZE_BYTES or not entry.name:
        raise ContentError(f"tar member {entry.name[:200]!r} has an invalid size or no name")
    return entry


def _kind(flag: bytes, name: bytes) -> Kind:
    if flag == b"S":
        raise _sparse(_decode(name))
    try:
        return Kind(flag)
    except ValueError:
        raise ContentError(f"tar has a member of the unsupported type {flag!r}") from None


def _sparse(name: str) -> ContentError:
    return ContentError(f"tar member {name[:200]!r} is sparse: make the tar without --sparse (-S)")


def _with_pax(entry: TarEntry, pax: dict[str, bytes]) -> TarEntry:
    rest = dict(pax)
    if any(key.startswith("GNU.sparse.") for key in rest):
        raise _sparse(_decode(rest.get("GNU.sparse.name", b"")) or entry.name)
    numbers = {key: _pax_number(rest.pop(key)) for key in _NUMERIC_PAX if key in rest}
    texts = {
        name: _decode(rest.pop(key))
        for key, name in (("path", "name"), ("linkpath", "link_name"), ("uname", "user"), ("gname", "group"))
        if key in rest
    }
    mtime_ns = _pax_time(rest.pop("mtime")) if "mtime" in rest else entry.mtime_ns
    for key in ("atime", "ctime", "hdrcharset", "comment"):
        rest.pop(key, None)
    return replace(entry, **numbers, **texts, mtime_ns=mtime_ns, pax=rest)  # type: ignore[arg-type]


def _pax_records(body: bytes) -> dict[str, bytes]:
    """`LENGTH KEY=VALUE\\n` one after the other."""
    records: dict[str, bytes] = {}
    at = 0
    while at < len(body):
        space = body.find(b" ", at, at + 10)
        digits = body[at:space] if space > at else b""
        end = at + int(digits) if digits.isdigit() else 0
        key, equals, value = body[space + 1 : end - 1].partition(b"=")
        if not space + 1 < end <= len(body) or body[end - 1 : end] != b"\n" or not equals or not key:
            raise ContentError("tar has a malformed pax header")
        records[_decode(key)] = value
        at = end
    return records


def _pax_number(value: bytes) -> int:
    if not value.isdigit() or len(value) > 19:
        raise ContentError(f"tar has the pax number {value[:40]!r}")
    return int(value)


def _pax_time(value: bytes) -> int:
    """Nanoseconds."""
    sign = -1 if value.startswith(b"-") else 1
    seconds, _, fraction = value.removeprefix(b"-").partition(b".")
    if not seconds.isdigit() or len(seconds) > 12 or (fraction and not fraction.isdigit()):
        raise ContentError(f"tar has the pax time {value[:40]!r}")
    return sign * (int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0")))


def _number(field: bytes) -> int:
    """Octal text, or base 256 where the first bit is set (GNU)."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value
    text = field.strip(b" \0")
    if b"\0" in text:
        text = text[: text.index(b"\0")].strip(b" ")
    if not text:
        return 0
    if not all(0x30 <= digit <= 0x37 for digit in text):
        raise ContentError("tar header has a malformed number: damaged, or no tar")
    return int(text, 8)


def _field(raw: bytes) -> bytes:
    return raw.split(b"\0", 1)[0]


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
