"""Go's filepath.Match: `*`, `?`, `[a-z]`, `[^a]` and the backslash, for names with slashes. PURE.

The wildcards of COPY and ADD are these. A `*` never crosses a slash, but a class may: so says Go. A pattern becomes a
regular expression that cannot backtrack far: Go takes the leftmost place for each piece behind a star and stays with
it, which is what an atomic group does.
"""

import re
from functools import lru_cache

from agent.content.errors import InputError

_WILDCARDS = re.compile(r"(?:\\.|[^\\*?\[])*[*?\[]", re.DOTALL)
_STAR = "[^/]*?"


def match_pattern(pattern: str, name: str) -> bool:
    """The whole of `name`. Raises InputError for a malformed pattern, whatever the name."""
    return _compile(pattern).fullmatch(name) is not None


def has_wildcards(pattern: str) -> bool:
    """Whether it can match another name than the one it spells."""
    return _WILDCARDS.match(pattern) is not None


def character_class(pattern: str, position: int) -> tuple[str, int]:
    """The regular expression of the class that opens at `position`, and where it ends. Raises InputError."""
    position += 1
    negated = pattern.startswith("^", position)
    position += negated
    ranges: list[tuple[str, str]] = []
    while not ranges or not pattern.startswith("]", position):
        low, position = _class_character(pattern, position)
        high = low
        if pattern.startswith("-", position):
            high, position = _class_character(pattern, position + 1)
        ranges.append((low, high))
    inside = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in ranges if low <= high)
    if not inside:  # [z-a] has nobody in it
        return ("(?s:.)" if negated else "(?!)"), position + 1
    return f"[{'^' if negated else ''}{inside}]", position + 1


def _class_character(pattern: str, position: int) -> tuple[str, int]:
    character = pattern[position : position + 1]
    if character == "\\":
        position += 1
        character = pattern[position : position + 1]
    elif character in ("-", "]"):
        character = ""
    if not character or position + 1 >= len(pattern):
        raise InputError(f"malformed pattern {pattern!r}: a [ without what belongs in it and its ]")
    return character, position + 1


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> re.Pattern[str]:
    first, *starred = _pieces(pattern)
    if not starred:
        return re.compile(first)
    *between, last = starred
    return re.compile(first + "".join(f"(?>{_STAR}{piece})" for piece in between) + _STAR + last)


def _pieces(pattern: str) -> list[str]:
    """What is between runs of stars, each as a regular expression."""
    pieces, position = [""], 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "[":
            expression, position = character_class(pattern, position - 1)
            pieces[-1] += expression
        elif character == "*":
            if pattern[position - 2 : position] != "**" or pieces[-1]:
                pieces.append("")
        elif character == "\\":
            if position == len(pattern):
                raise InputError(f"malformed pattern {pattern!r}: a backslash ends it")
            pieces[-1] += re.escape(pattern[position])
            position += 1
        else:
            pieces[-1] += "[^/]" if character == "?" else re.escape(character)
    return pieces
