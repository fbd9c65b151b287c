"""`IgnorePatterns`: .dockerignore, and `--exclude` of COPY and ADD. PURE.

Not gitignore's rules: a pattern begins at the root, `#` is a comment in column 0 alone, the last pattern that matches
wins, and one that matches a directory matches what is in it. As BuildKit walks a context: each directory's answers,
one a pattern, are the start for those of its entries. So `a/b` and then `!a` leave a/b out, since `!a` was not asked
when a was not ignored yet.
"""

import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from agent.content.errors import InputError
from builder.dockerfile.patterns import character_class, has_wildcards, match_pattern
from builder.dockerfile.white_space import WHITE_SPACE

_SPECIAL = frozenset("*?[]\\")
_MAX_REMEMBERED = 10_000  # directories, a few hundred bytes each


@dataclass(frozen=True, slots=True)
class _Pattern:
    """`exception`: written with `!`."""

    text: str
    exception: bool
    matches: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class IgnorePatterns:
    """Paths are relative, with slashes and without a leading `./`."""

    patterns: tuple[_Pattern, ...] = ()
    _directories: dict[str, tuple[bool, ...]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def parse(cls, text: bytes, name: str = ".dockerignore") -> "IgnorePatterns":
        """Raises InputError, with the line."""
        patterns = []
        for number, line in enumerate(text.decode("utf-8-sig", "replace").split("\n"), 1):
            if line.startswith("#"):
                continue
            try:
                patterns += _read(line)
            except InputError as error:
                raise InputError(f"{name}:{number}: {error}") from None
        return cls(tuple(patterns))

    @classmethod
    def of(cls, patterns: Iterable[str]) -> "IgnorePatterns":
        """Of a list, in which `#` is a character like others. Raises InputError."""
        return cls(tuple(pattern for text in patterns for pattern in _read(text)))

    @property
    def has_exceptions(self) -> bool:
        return any(pattern.exception for pattern in self.patterns)

    def has_any_of(self, texts: tuple[str, ...]) -> bool:
        """Whether one of these is a pattern, to the letter."""
        return any(pattern.text in texts for pattern in self.patterns)

    def matches(self, path: str) -> bool:
        """Whether `path` is left out. A directory that is may yet have entries that are not: see `prunes`."""
        return self._answers(path)[1]

    def prunes(self, directory: str) -> bool:
        """Whether it is left out with all that is in it, so that nobody needs to look."""
        return self.matches(directory) and not any(
            pattern.exception and _may_match_below(pattern.text, directory) for pattern in self.patterns
        )

    def _answers(self, path: str) -> tuple[tuple[bool, ...], bool]:
        """Which patterns match `path` or a directory above it, and what follows from them."""
        parent = path.rpartition("/")[0]
        above = self._remembered(parent) if parent else (False,) * len(self.patterns)
        answers, ignored = [], False
        for pattern, matched_above in zip(self.patterns, above, strict=True):
            # A pattern that could not change anything is not asked, and counts as not matching further down.
            matched = matched_above or (pattern.exception == ignored and pattern.matches(path))
            answers.append(matched)
            if matched:
                ignored = not pattern.exception
        return tuple(answers), ignored

    def _remembered(self, directory: str) -> tuple[bool, ...]:
        answers = self._directories.get(directory)
        if answers is None:
            answers = self._answers(directory)[0]
            if len(self._directories) < _MAX_REMEMBERED:
                self._directories[directory] = answers
        return answers


def _read(line: str) -> list[_Pattern]:
    """One pattern, or none."""
    text = line.strip(WHITE_SPACE)
    exception = text.startswith("!")
    if exception:
        text = text[1:].strip(WHITE_SPACE)
        if not text:
            raise InputError("a ! alone excepts nothing: put a pattern behind it")
    if not text:
        return []
    # Clean leaves two slashes at the front as POSIX wants it; Go makes them one.
    cleaned = re.sub("^//", "/", posixpath.normpath(text))
    if len(cleaned) > 1:
        cleaned = cleaned.removeprefix("/")
    match_pattern(cleaned, ".")  # its mistakes are found here
    return [_Pattern(cleaned, exception, _matcher(cleaned))]


def _matcher(pattern: str) -> Callable[[str], bool]:
    """The common forms without a regular expression; what they mean is what BuildKit's short cuts mean."""
    if not _SPECIAL & set(pattern):
        return pattern.__eq__
    if pattern.startswith("**") and not _SPECIAL & set(pattern[2:]):
        suffix = pattern[2:]
        return lambda path: path.endswith(suffix) or path == suffix.removeprefix("/")
    if pattern.endswith("**") and not _SPECIAL & set(pattern[:-2]):
        prefix = pattern[:-2]
        return lambda path: path.startswith(prefix)
    expression = re.compile(_expression(pattern))
    return lambda path: expression.fullmatch(path) is not None


def _expression(pattern: str) -> str:
    """`**` and the slash behind it are any number of directories, at the end anything; the rest is Match's."""
    parts, position = [], 0
    while position < len(pattern):
        if double := re.match(r"\*\*/?", pattern[position:]):
            position += double.end()
            parts.append("(?:.*/)?" if position < len(pattern) else ".*")
        elif pattern[position] == "[":
            expression, position = character_class(pattern, position)
            parts.append(expression)
        elif pattern[position] == "\\":
            parts.append(re.escape(pattern[position + 1]))
            position += 2
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(pattern[position]) or re.escape(pattern[position]))
            position += 1
    return "".join(parts)


def _may_match_below(pattern: str, directory: str) -> bool:
    """Whether some path in `directory` might match; when in doubt, yes."""
    wanted = pattern.split("/")
    for position, name in enumerate(directory.split("/")):
        if position >= len(wanted):
            return False
        if "**" in wanted[position]:
            return True
        if wanted[position] != name and not has_wildcards(wanted[position]) and "\\" not in wanted[position]:
            return False
    return len(wanted) > directory.count("/") + 1 or "**" in wanted[-1]
