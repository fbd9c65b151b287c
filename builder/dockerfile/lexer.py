"""One word of a Dockerfile read with a shell's quotes and variables: the machine behind words.py. PURE.

It follows BuildKit's shell lexer, which is no shell: an unset variable is empty, a backslash escapes everywhere but
in single quotes, blanks that come out of a variable separate words and blanks that were quoted do not.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.content.errors import InputError
from builder.dockerfile.shell_pattern import replaced, without_prefix, without_suffix
from builder.dockerfile.white_space import WHITE_SPACE

Lookup = Callable[[str], str | None]
_MAX_DEPTH = 50  # an image's ONBUILD triggers are words of strangers
# Nothing of it escapes, quotes, separates or is replaced, whatever the escape is.
_PLAIN = re.compile(r"[\w.,:;=/@+*&|<>()\[\]~!-]+")
_SPECIAL = "@*#?-$!0"  # POSIX's special parameters: one character names them


@dataclass(slots=True)
class Words:
    """The words a text falls into; what is quoted or escaped never separates."""

    finished: list[str] = field(default_factory=list)
    current: str = ""

    def add(self, text: str, quoted: bool) -> None:
        if quoted:
            self.current += text
            return
        for character in text:
            if character not in WHITE_SPACE:
                self.current += character
            else:
                self.finish()

    def finish(self) -> list[str]:
        if self.current:
            self.finished.append(self.current)
            self.current = ""
        return self.finished


@dataclass(slots=True)
class Lexer:
    """keep_quotes, keep_escapes: they stay in the result; keep_unset: `$v` stays where v is unset.

    plain_quotes: quotes are characters like others (here-documents). named: the variables that were met; needed: those
    of them that have nothing beside them that says what to take where they are unset.
    """

    text: str
    lookup: Lookup
    escape: str = "\\"
    keep_quotes: bool = False
    keep_escapes: bool = False
    keep_unset: bool = False
    plain_quotes: bool = False
    position: int = 0
    depth: int = 0
    named: set[str] = field(default_factory=set)
    needed: set[str] = field(default_factory=set)

    def run(self) -> tuple[str, list[str]]:
        """The text expanded, and the words it falls into. Raises InputError."""
        return self._until("", self.keep_escapes)

    def _peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def _next(self) -> str:
        character = self._peek()
        self.position += len(character)
        return character

    def _until(self, stop: str, keep_escapes: bool) -> tuple[str, list[str]]:
        """Up to `stop`, which is consumed; "" is the end of the text."""
        if self.depth > _MAX_DEPTH:
            raise InputError(f"substitutions are nested more than {_MAX_DEPTH} deep")
        self.depth += 1
        try:
            return self._scan(stop, keep_escapes)
        finally:
            self.depth -= 1

    def _scan(self, stop: str, keep_escapes: bool) -> tuple[str, list[str]]:
        result, words = "", Words()
        while character := self._peek():
            if character == stop:
                self.position += 1
                return result, words.finish()
            quoted = character != "$"
            if not stop and (plain := _PLAIN.match(self.text, self.position)):
                self.position, piece = plain.end(), plain[0]
            elif character == "$":
                piece = self._variable()
            elif character == "'" and not self.plain_quotes:
                piece = self._single_quoted()
            elif character == '"' and not self.plain_quotes:
                piece = self._double_quoted(keep_escapes)
            else:
                self.position += 1
                piece, quoted = character, False
                if character == self.escape:
                    piece, quoted = (character if keep_escapes else "") + self._next(), True
            result += piece
            words.add(piece, quoted)
        if stop:
            raise InputError(f"the text ends where a {stop} is missing")
        return result, words.finish()

    def _single_quoted(self) -> str:
        end = self.text.find("'", self.position + 1)
        if end < 0:
            raise InputError("a single quote is not closed")
        inside = self.text[self.position + 1 : end]
        self.position = end + 1
        return f"'{inside}'" if self.keep_quotes else inside

    def _double_quoted(self, keep_escapes: bool) -> str:
        self.position += 1
        result = ""
        while (character := self._peek()) != '"':
            if not character:
                raise InputError("a double quote is not closed")
            result += self._variable() if character == "$" else self._in_quotes(keep_escapes)
        self.position += 1
        return f'"{result}"' if self.keep_quotes else result

    def _in_quotes(self, keep_escapes: bool) -> str:
        """There the escape is a character like others, but before a quote, a dollar and itself."""
        character = self._next()
        if character != self.escape:
            return character
        kept = character if keep_escapes else ""
        following = self._peek()
        if following and following in f'"${self.escape}':
            return kept + self._next()
        return kept + character if following else kept

    def _variable(self) -> str:
        self.position += 1
        if self._peek() == "{":
            self.position += 1
            return self._braced()
        name = self._name()
        if not name:
            return "$"
        value = self._needed(name)
        return f"${name}" if value is None and self.keep_unset else value or ""

    def _braced(self) -> str:
        if self._peek() in ("{", "}", ":"):
            raise InputError("bad substitution: ${ must be followed by a variable's name")
        name = self._name()
        modifier = self._next()
        if modifier == "}":
            value = self._needed(name)
            return f"${{{name}}}" if value is None and self.keep_unset else value or ""
        if modifier == "/":
            return self._replaced(name)
        if modifier == ":":
            modifier += self._next()
        if modifier in ("#", "%"):
            return self._trimmed(name, modifier)
        if modifier.removeprefix(":") in ("-", "+", "?"):
            return self._alternative(name, modifier)
        if not modifier.removeprefix(":"):
            raise InputError("${" + name + " is not closed: a } is missing")
        raise InputError(
            f"${{{name}{modifier}...}} is no substitution: known are :- - :+ + :? ? # ## % %% / //"
        )

    def _alternative(self, name: str, modifier: str) -> str:
        word = self._until("}", False)[0]
        value = self._value(name)
        if value is None and self.keep_unset:
            return f"${{{name}{modifier}{word}}}"
        usable = value is not None and (bool(value) or modifier[0] != ":")
        if modifier[-1] == "-":
            return value or "" if usable else word
        if modifier[-1] == "+":
            return word if usable else ""
        if not usable:
            raise InputError(f"{name}: {word or ('it is not set' if value is None else 'it is empty')}")
        return value or ""

    def _trimmed(self, name: str, modifier: str) -> str:
        word = self._until("}", True)[0]
        value = self._needed(name)
        if value is None and self.keep_unset:
            return f"${{{name}{modifier}{word}}}"
        longest = word.startswith(modifier)
        trim = without_prefix if modifier == "#" else without_suffix
        return trim(word[1:] if longest else word, value or "", longest)

    def _replaced(self, name: str) -> str:
        everywhere = self._peek() == "/"
        self.position += everywhere
        pattern = self._until("/", True)[0]
        replacement = self._until("}", True)[0]
        value = self._needed(name)
        if value is None and self.keep_unset:
            return f"${{{name}/{pattern}/{replacement}}}"
        return replaced(pattern, replacement, value or "", everywhere)

    def _needed(self, name: str) -> str | None:
        self.needed.add(name)
        return self._value(name)

    def _value(self, name: str) -> str | None:
        self.named.add(name)
        return self.lookup(name)

    def _name(self) -> str:
        """A run of digits, one special character, or letters, digits and underscores."""
        start = self.position
        first = self._peek()
        if first.isdecimal():
            while self._peek().isdecimal():
                self.position += 1
        elif first and first in _SPECIAL:
            self.position += 1
        else:
            while (character := self._peek()) and (
                character.isalpha() or character.isdecimal() or character == "_"
            ):
                self.position += 1
        return self.text[start : self.position]
