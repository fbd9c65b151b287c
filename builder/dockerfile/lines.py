"""The lines of a Dockerfile, and the instructions they are joined into. PURE.

Invariant: `Statement.text` is made of pieces of the file's lines in order, and `locate` gives for each of its
characters the line and column it came from, so that errors show the line as its author wrote it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from builder.dockerfile.directives import Directives
from builder.dockerfile.failure import DockerfileError, Malformed
from builder.dockerfile.white_space import WHITE_SPACE

_MAX_LINE_BYTES = 65_535
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Statement:
    """One instruction's text, lines joined. `pieces`: (offset in text, line, column); comments: right above it."""

    text: str = ""
    pieces: list[tuple[int, int, int]] = field(default_factory=list)
    end_line: int = 0
    comments: tuple[str, ...] = ()
    has_empty_line: bool = False

    def add(self, piece: str, line: int, column: int) -> None:
        self.pieces.append((len(self.text), line, column))
        self.text += piece

    @property
    def line(self) -> int:
        return self.pieces[0][1]

    def locate(self, near: str) -> tuple[int, int]:
        """Line and column where `near` stands first, as a word where it is one; else of the instruction."""
        word = re.search(rf"(?<!\S){re.escape(near)}(?!\S)", self.text) if near else None
        offset = word.start() if word else max(0, self.text.find(near))
        start, line, column = next(piece for piece in reversed(self.pieces) if piece[0] <= offset)
        return line, column + offset - start


class Lines:
    """`all`: the file's lines without their ends, for messages. Raises DockerfileError for a line that is too long."""

    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        text = content.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", "replace")
        self._raw = text.split("\n")
        self.all = tuple(line.rstrip("\r") for line in self._raw)
        self._next = 0
        self.directives = Directives()
        for number, line in enumerate(content.split(b"\n"), 1):
            if len(line) > _MAX_LINE_BYTES:
                raise self.error(number, 1, f"the line is longer than {_MAX_LINE_BYTES:,} bytes")

    def error(self, line: int, column: int, problem: str) -> DockerfileError:
        return DockerfileError(self.name, self.all, line, column, problem)

    def statements(self) -> Iterator[Statement]:
        """The instructions; between two of them `read_document` may take lines."""
        comments: list[str] = []
        while self._next < len(self.all):
            line = self._take()
            bare = line.lstrip(WHITE_SPACE)
            if self._is_directive(bare):
                continue
            if not bare:
                comments = []
            elif bare.startswith("#"):
                comment = bare[1:].strip(WHITE_SPACE)
                comments = [*comments, comment] if comment else []
            else:
                yield self._joined(bare, len(line) - len(bare), tuple(comments))
                comments = []

    def read_document(self, terminator: str, strip_tabs: bool) -> str | None:
        """The lines up to one that is `terminator`, ends of lines included; None where there is none."""
        start = self._next
        for position in range(start, len(self.all)):
            line = self.all[position]
            if (line.lstrip("\t") if strip_tabs else line) == terminator:
                self._next = position + 1
                return "".join(f"{raw}\n" for raw in self._raw[start:position])
        return None

    @property
    def line(self) -> int:
        """The number of the line that was taken last."""
        return self._next

    def _take(self) -> str:
        self._next += 1
        return self.all[self._next - 1]

    def _is_directive(self, bare: str) -> bool:
        try:
            return self.directives.read(bare)
        except Malformed as error:
            column = self.all[self._next - 1].find(error.near) + 1
            raise self.error(self._next, column, str(error)) from None

    def _joined(self, bare: str, indent: int, comments: tuple[str, ...]) -> Statement:
        statement = Statement(comments=comments)
        piece, goes_on = self._without_continuation(bare)
        statement.add(piece, self._next, indent + 1)
        while goes_on and self._next < len(self.all):
            line = self._take()
            text = line.lstrip(WHITE_SPACE)
            if text.startswith("#"):
                continue
            if not text:
                # The text ends with a newline: what is after it is no line of its own.
                statement.has_empty_line |= self._next < len(self.all)
                continue
            piece, goes_on = self._without_continuation(line)
            statement.add(piece, self._next, 1)
        statement.end_line = self._next
        return statement

    def _without_continuation(self, line: str) -> tuple[str, bool]:
        """One escape at the end, blanks after it allowed; two of them are text."""
        escape = re.escape(self.directives.escape)
        match = re.search(rf"(?<!{escape}){escape}[ \t]*\Z", line)
        return (line[: match.start()], True) if match else (line, False)
