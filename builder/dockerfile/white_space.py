"""What counts as blank: Go's `unicode.IsSpace`, as BuildKit asks it. PURE.

Python's own str.strip and str.isspace also take \\x1c to \\x1f for blanks, which Go does not.
"""

import re

WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
# Between the words of an instruction only these separate: a no-break space is part of a word there.
_BLANKS = re.compile(r"[\t\v\f\r ]+")


def split_words(text: str) -> list[str]:
    """The words of a list without quoting (COPY, EXPOSE, FROM): [] for nothing."""
    return _BLANKS.split(text) if text else []


def split_first(text: str) -> tuple[str, str | None]:
    """The first word and all that follows the blanks after it, None where nothing separates."""
    first, *rest = _BLANKS.split(text, maxsplit=1)
    return first, rest[0] if rest else None
