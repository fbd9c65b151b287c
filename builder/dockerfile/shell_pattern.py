"""Patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*`, `?` and the backslash. PURE.

No brackets: BuildKit leaves them out of its substitution, and a pattern here means what it means there.
"""

import re

from agent.content.errors import InputError

_ESCAPED = "*?\\"


def without_prefix(pattern: str, value: str, longest: bool) -> str:
    match = _compile(pattern, longest).match(value)
    return value[match.end() :] if match else value


def without_suffix(pattern: str, value: str, longest: bool) -> str:
    """A search from the left cannot find the shortest match at the end: both are turned round."""
    return without_prefix(_reversed(pattern), value[::-1], longest)[::-1]


def replaced(pattern: str, replacement: str, value: str, everywhere: bool) -> str:
    """The first match, or all that do not overlap; the longest each. An empty match next to another is none."""
    result, last = "", 0
    for match in _compile(pattern, True).finditer(value):
        result += value[last : match.start()]
        if match.end() > last or match.start() == 0:
            result += replacement
        last = match.end()
        if not everywhere:
            break
    return result + value[last:]


def _compile(pattern: str, longest: bool) -> re.Pattern[str]:
    star = ".*" if longest else ".*?"
    characters = iter(pattern)
    parts = []
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            # The slash and the brace had to be escaped to get into the pattern at all.
            if not escaped or escaped not in _ESCAPED + "/}":
                raise InputError(f"invalid pattern {pattern!r}: a backslash escapes only * ? \\ / and }}")
            parts.append(re.escape(escaped))
        else:
            parts.append({"*": star, "?": "."}.get(character) or re.escape(character))
    return re.compile("".join(parts))


def _reversed(pattern: str) -> str:
    """Escapes stay in front of what they escape."""
    return "".join(reversed(re.findall(r"\\.|.", pattern, re.DOTALL)))
