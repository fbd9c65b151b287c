"""`DockerfileError`: what is wrong in a Dockerfile, where, and what would be right. PURE.

Dockerfile:3:6: unknown flag --form: did you mean --from?
  3 | COPY --form=build /app /app
    |      ^
"""

from collections.abc import Iterable, Sequence

from agent.content.errors import InputError
from builder.dockerfile.instructions import Dockerfile, Place

_SHOWN_CHARACTERS = 160


class DockerfileError(InputError):
    """An InputError that knows its place. `line` and `column` from 1."""

    def __init__(self, name: str, lines: Sequence[str], line: int, column: int, problem: str) -> None:
        super().__init__(f"{name}:{line}:{column}: {problem}{_excerpt(lines, line, column)}")
        self.name = name
        self.line = line
        self.column = column
        self.problem = problem


class Malformed(InputError):
    """What is wrong within one instruction; `near`: the words that are meant, "" the whole instruction.

    It never leaves `parse_dockerfile` and `parse_instruction`: they know the place, and raise DockerfileError.
    """

    def __init__(self, problem: str, near: str = "") -> None:
        super().__init__(problem)
        self.near = near


def error_at(dockerfile: Dockerfile, place: Place, problem: str) -> DockerfileError:
    """For who finds out later: an expansion that fails, a stage that does not exist."""
    return DockerfileError(dockerfile.name, dockerfile.lines, place.line, place.column, problem)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean x?`, or what there is to choose from. Case does not count."""
    from difflib import get_close_matches  # 0.14 MiB, for mistakes alone

    choices = {choice.lower(): choice for choice in known}
    near = get_close_matches(word.lower(), choices, n=1, cutoff=0.6)
    if near:
        return f"did you mean {choices[near[0]]}?"
    return f"known are {', '.join(sorted(choices.values()))}"


def _excerpt(lines: Sequence[str], line: int, column: int) -> str:
    if not 1 <= line <= len(lines):
        return ""
    text = lines[line - 1]
    start = max(0, column - _SHOWN_CHARACTERS // 2) if len(text) > _SHOWN_CHARACTERS else 0
    # Tabs stay, before the caret too, so that it stands under its character whatever their width.
    shown = "".join(
        c if c.isprintable() or c == "\t" else "�" for c in text[start : start + _SHOWN_CHARACTERS]
    )
    indent = "".join("\t" if c == "\t" else " " for c in shown[: column - 1 - start])
    margin = " " * len(str(line))
    return f"\n  {line} | {shown}\n  {margin} | {indent}^"
