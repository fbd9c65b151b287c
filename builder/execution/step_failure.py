"""`StepFailed`: a step that could not be carried out, or an image for one that could not be had, with what a person
needs to see why, as BuildKit shows it.
"""

from collections import deque
from collections.abc import Sequence

from agent.content.errors import ShoalError
from builder.progress.output_lines import OutputLines

SHOWN_LINES = 10
_ESCAPES = ("\\", "`")


class StepFailed(ShoalError):
    """line: of the Dockerfile. output: the last lines that the command printed. status: its exit status, None where it
    did not run."""

    def __init__(
        self,
        title: str,
        line: int,
        cause: ShoalError | str,
        output: Sequence[str] = (),
        status: int | None = None,
    ) -> None:
        super().__init__(f"{title}: {cause}")
        self.title = title
        self.line = line
        self.cause = cause
        self.output = tuple(output)
        self.status = status

    def report(self, lines: Sequence[str], name: str) -> str:
        """lines: of the Dockerfile called `name`."""
        text = []
        if self.output:
            text += ["------", f" > {self.title}:", *self.output, "------"]
        return "\n".join([*text, *place_lines(lines, name, self.line)])


def place_lines(lines: Sequence[str], name: str, line: int) -> list[str]:
    """A line of the Dockerfile called `name`, and those around it; nothing of a line that it does not have."""
    if not 1 <= line <= len(lines):
        return []
    return [f"{name}:{line}", "-" * 20, *_excerpt(lines, line), "-" * 20]


class LastLines:
    """Of what a command prints on both streams."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=SHOWN_LINES)
        self._streams: dict[str, OutputLines] = {}

    def feed(self, stream: str, data: bytes) -> None:
        if data.count(b"\n") > SHOWN_LINES:  # the rest would be forgotten at once
            data = b"\n".join(data.rsplit(b"\n", SHOWN_LINES + 1)[1:])
            self._streams.pop(stream, None)
        self._lines.extend(self._streams.setdefault(stream, OutputLines()).feed(data))

    def end(self) -> list[str]:
        for stream in self._streams.values():
            self._lines.extend(stream.end())
        return list(self._lines)


def _excerpt(lines: Sequence[str], line: int) -> list[str]:
    end = _end(lines, line)
    first, last = max(1, line - 2), min(len(lines), end + 2)
    return [
        f"{number:4} | {'>>> ' if line <= number <= end else '    '}{lines[number - 1]}".rstrip()
        for number in range(first, last + 1)
    ]


def _end(lines: Sequence[str], line: int) -> int:
    """The last line of the instruction that begins here, as far as escapes at the ends of lines tell."""
    for number in range(line, len(lines)):
        text = lines[number - 1].strip()
        if not text.endswith(_ESCAPES) and (number == line or (text and not text.startswith("#"))):
            return number
    return len(lines)
