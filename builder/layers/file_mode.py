"""`parse_mode`: --chmod of COPY and ADD: octal, or symbolic as of chmod(1): `u=rwX,go-w`. PURE."""

import re
from dataclasses import dataclass

from agent.content.errors import InputError

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXstugo]*)+)")
_ACTION = re.compile(r"([-+=])([rwxXstugo]*)")
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_ALL_MODES = 0o7777


@dataclass(frozen=True, slots=True)
class ModeChange:
    """octal: the mode itself; else clauses of (who, operator, what)."""

    octal: int | None
    clauses: tuple[tuple[str, str, str], ...] = ()

    def of(self, mode: int, *, is_directory: bool) -> int:
        """What a file of this mode gets."""
        if self.octal is not None:
            return self.octal
        for who, operator, what in self.clauses:
            mode = _changed(mode, who, operator, what, is_directory)
        return mode


def parse_mode(text: str) -> ModeChange:
    """Raises InputError."""
    if re.fullmatch(r"[0-7]{1,5}", text) and int(text, 8) <= _ALL_MODES:
        return ModeChange(int(text, 8))
    clauses = []
    for part in text.split(","):
        match = _CLAUSE.fullmatch(part)
        if match is None:
            raise InputError(
                f"--chmod={text}: expected an octal mode such as 755, or a symbolic one such as u=rwX,go=rX"
            )
        clauses += [(match[1] or "a", one[1], one[2]) for one in _ACTION.finditer(match[2])]
    return ModeChange(None, tuple(clauses))


def _changed(mode: int, who: str, operator: str, what: str, is_directory: bool) -> int:
    for one in "ugo" if "a" in who else dict.fromkeys(who):
        shift = _SHIFTS[one]
        bits = _bits(mode, what, is_directory) << shift
        if "s" in what:
            bits |= {"u": 0o4000, "g": 0o2000, "o": 0}[one]
        if operator == "+":
            mode |= bits
        elif operator == "-":
            mode &= ~bits
        else:
            mode = mode & ~(0o7 << shift) & ~({"u": 0o4000, "g": 0o2000, "o": 0}[one]) | bits
    if "t" in what:
        mode = mode & ~0o1000 if operator == "-" else mode | 0o1000
    return mode


def _bits(mode: int, what: str, is_directory: bool) -> int:
    """Of one of user, group and others."""
    bits = 0
    for one in what:
        match one:
            case "r":
                bits |= 4
            case "w":
                bits |= 2
            case "x":
                bits |= 1
            case "X":
                bits |= 1 if is_directory or mode & 0o111 else 0
            case "u" | "g" | "o":
                bits |= mode >> _SHIFTS[one] & 7
    return bits
