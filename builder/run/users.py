"""Who USER means: names and numbers, looked up in the image's own /etc/passwd and /etc/group.

The rules are those of runc's GetExecUser, which BuildKit asks: the first matching line counts, a name wins over a
number, a number needs no line, groups of the user count unless a group was given.
HOME is the runtime's business: it looks it up there, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.run.errors import RunError
from builder.run.root_path import read_in_root

LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class User:
    """groups: further ones, without `gid`."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Account:
    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    gid: int
    members: frozenset[str]


def look_up_user(text: str, root: Path) -> User:
    """text: `user[:group]`, "" is root. Raises RunError for one that the image does not know."""
    return find_user(text, read_in_root(root, "/etc/passwd") or b"", read_in_root(root, "/etc/group") or b"")


def find_user(text: str, passwd: bytes, group: bytes) -> User:
    name, _, group_name = text.partition(":")
    account = next(_matching_accounts(name or "0", passwd), None)
    uid = account.uid if account else _number(name or "0", f"user {name!r} is not in the image's /etc/passwd")
    if group_name:
        return User(uid, _group_id(group_name, group))
    gid = account.gid if account else 0
    others = () if account is None else _groups_of(account.name, group)
    return User(uid, gid, tuple(other for other in others if other != gid))


def find_account(name: str, root: Path) -> User | None:
    """By name alone, the first line; without groups. Raises RunError for a file beyond reason."""
    entries = _accounts(read_in_root(root, "/etc/passwd") or b"")
    return next((User(entry.uid, entry.gid) for entry in entries if entry.name == name), None)


def find_group(name: str, root: Path) -> int | None:
    """As find_account."""
    entries = _group_lines(read_in_root(root, "/etc/group") or b"")
    return next((entry.gid for entry in entries if entry.name == name), None)


def _matching_accounts(name: str, passwd: bytes) -> Iterator[_Account]:
    number = _as_number(name)
    return (entry for entry in _accounts(passwd) if entry.name == name or entry.uid == number)


def _group_id(name: str, group: bytes) -> int:
    number = _as_number(name)
    for entry in _group_lines(group):
        if entry.name == name or entry.gid == number:
            return entry.gid
    return _number(name, f"group {name!r} is not in the image's /etc/group")


def _groups_of(user: str, group: bytes) -> tuple[int, ...]:
    return tuple(dict.fromkeys(entry.gid for entry in _group_lines(group) if user in entry.members))


def _accounts(passwd: bytes) -> Iterator[_Account]:
    for name, _, uid, gid, *_ in _lines(passwd, 4):
        if (uid_number := _as_number(uid)) is not None and (gid_number := _as_number(gid)) is not None:
            yield _Account(name, uid_number, gid_number)


def _group_lines(group: bytes) -> Iterator[_Group]:
    for name, _, gid, members, *_ in _lines(group, 4):
        if (number := _as_number(gid)) is not None:
            yield _Group(name, number, frozenset(members.split(",")))


def _lines(content: bytes, fields: int) -> Iterator[list[str]]:
    for line in content.decode("utf-8", "surrogateescape").split("\n"):
        if line.strip():
            values = line.strip().split(":")
            yield values + [""] * (fields - len(values))


def _as_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None


def _number(text: str, otherwise: str) -> int:
    number = _as_number(text)
    if number is None:
        raise RunError(otherwise)
    if number > LARGEST_ID:
        raise RunError(f"{text} is beyond the largest user or group number, {LARGEST_ID}")
    return number
