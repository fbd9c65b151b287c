"""`TarEntry`: one member of a tar as a value, and its header as bytes. PURE.

Formats: POSIX.1-2001 (pax) over ustar. Written are ustar headers, and a pax header where ustar cannot say it: long or
non-ASCII names, large numbers, fractions of a second, extended attributes. Names are text by surrogateescape, so that
bytes that are no UTF-8 come back as they were.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from agent.content.errors import ContentError

BLOCK_BYTES = 512
END_OF_TAR = bytes(2 * BLOCK_BYTES)
XATTR_PREFIX = "SCHILY.xattr."
_MAX_PATH_CHARACTERS = 4096  # Linux' PATH_MAX
_NAME_BYTES, _PREFIX_BYTES = 100, 155
_SECOND_NS = 1_000_000_000


class Kind(Enum):
    """By type flag."""

    FILE = b"0"
    HARD_LINK = b"1"
    SYMLINK = b"2"
    CHARACTER_DEVICE = b"3"
    BLOCK_DEVICE = b"4"
    DIRECTORY = b"5"
    FIFO = b"6"


@dataclass(frozen=True, slots=True)
class TarEntry:
    """`name` and `link_name` as the tar spells them. pax: records that no field here says, xattrs among them."""

    name: str
    kind: Kind = Kind.FILE
    size: int = 0
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    link_name: str = ""
    user: str = ""
    group: str = ""
    device: tuple[int, int] = (0, 0)
    pax: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def padding_bytes(self) -> int:
        """Between the data and the next header."""
        return -self.size % BLOCK_BYTES

    @property
    def xattrs(self) -> dict[str, bytes]:
        return {
            key.removeprefix(XATTR_PREFIX): value
            for key, value in self.pax.items()
            if key.startswith(XATTR_PREFIX)
        }

    def encode(self) -> bytes:
        """The header blocks that stand before the data."""
        records: dict[str, bytes] = {}
        seconds, rest_ns = divmod(self.mtime_ns, _SECOND_NS)
        if rest_ns or seconds < 0:
            records["mtime"] = _decimal(self.mtime_ns)
        prefix, name = self._split_name(records)
        header = _ustar(
            name,
            mode=self.mode & 0o7777,
            uid=_number(records, "uid", self.uid, 7),
            gid=_number(records, "gid", self.gid, 7),
            size=_number(records, "size", self.size, 11),
            mtime=_number(records, "mtime", max(seconds, 0), 11),
            flag=self.kind.value,
            link=_text(records, "linkpath", self.link_name, _NAME_BYTES),
            user=_text(records, "uname", self.user, 31),
            group=_text(records, "gname", self.group, 31),
            device=self.device,
            prefix=prefix,
        )
        records |= self.pax
        return (_pax_header(records) if records else b"") + header

    def _split_name(self, records: dict[str, bytes]) -> tuple[bytes, bytes]:
        """(prefix, name) of the ustar header."""
        raw = _bytes(self.name)
        if len(raw) <= _NAME_BYTES and raw.isascii():
            return b"", raw
        cut = raw.rfind(b"/", 0, _PREFIX_BYTES + 1)
        if raw.isascii() and cut > 0 and 0 < len(raw) - cut - 1 <= _NAME_BYTES:
            return raw[:cut], raw[cut + 1 :]
        records["path"] = raw
        return b"", _ascii(raw)[:_NAME_BYTES]


def safe_path(name: str) -> str:
    """A member's path inside its root, without `./` and double slashes; "" is the root itself.

    Raises ContentError for a name that leads elsewhere: absolute, or with a `..` in it.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if len(name) > _MAX_PATH_CHARACTERS:
        raise ContentError(f"tar member {name[:60]!r}... has a name of {len(name)} characters")
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise ContentError(f"tar member {name[:200]!r} lies outside of its root")
    return "/".join(parts)


def _ustar(
    name: bytes,
    *,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    flag: bytes,
    link: bytes,
    user: bytes,
    group: bytes,
    device: tuple[int, int],
    prefix: bytes,
) -> bytes:
    major, minor = device
    fields = (
        (name, 100),
        (b"%07o\0" % mode, 8),
        (b"%07o\0" % uid, 8),
        (b"%07o\0" % gid, 8),
        (b"%011o\0" % size, 12),
        (b"%011o\0" % mtime, 12),
        (b" " * 8, 8),
        (flag, 1),
        (link, 100),
        (b"ustar\x0000", 8),
        (user, 32),
        (group, 32),
        (b"%07o\0" % major, 8),
        (b"%07o\0" % minor, 8),
        (prefix, 155),
    )
    block = b"".join(value.ljust(length, b"\0") for value, length in fields).ljust(BLOCK_BYTES, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _pax_header(records: Mapping[str, bytes]) -> bytes:
    body = b"".join(_record(key, value) for key, value in sorted(records.items()))
    head = _ustar(
        b"PaxHeaders/entry",
        mode=0o644,
        uid=0,
        gid=0,
        size=len(body),
        mtime=0,
        flag=b"x",
        link=b"",
        user=b"",
        group=b"",
        device=(0, 0),
        prefix=b"",
    )
    return head + body + bytes(-len(body) % BLOCK_BYTES)


def _record(key: str, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where LENGTH counts itself."""
    rest = b" " + _bytes(key) + b"=" + value + b"\n"
    length = len(rest)
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return b"%d" % length + rest


def _number(records: dict[str, bytes], key: str, value: int, digits: int) -> int:
    if 0 <= value < 8**digits:
        return value
    records.setdefault(key, b"%d" % value)
    return 0


def _text(records: dict[str, bytes], key: str, text: str, limit: int) -> bytes:
    raw = _bytes(text)
    if len(raw) <= limit and raw.isascii():
        return raw
    records[key] = raw
    return _ascii(raw)[:limit]


def _decimal(nanoseconds: int) -> bytes:
    sign, size = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    seconds, rest = divmod(size, _SECOND_NS)
    return f"{sign}{seconds}.{rest:09d}".rstrip("0").rstrip(".").encode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _ascii(raw: bytes) -> bytes:
    return bytes(byte if byte < 128 else 0x5F for byte in raw)
