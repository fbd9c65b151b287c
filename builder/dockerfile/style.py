"""Warnings about how instructions are written, which their values do not tell any more. PURE.

The rules and their names are BuildKit's (docs.docker.com/reference/build-checks). Whether a file wants to hear of
them is its `check` directive's matter (lint.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from builder.dockerfile.grammar import is_legacy_pair
from builder.dockerfile.instructions import Arg, From, Instruction, Maintainer, Warning
from builder.dockerfile.lines import Statement
from builder.dockerfile.white_space import split_words
from builder.dockerfile.written import Written


@dataclass(frozen=True, slots=True)
class Styled:
    written: Written
    instruction: Instruction
    statement: Statement


def style_warnings(styled: Styled) -> Iterator[Warning]:
    """Of one instruction."""
    written, instruction = styled.written, styled.instruction
    if styled.statement.has_empty_line:
        yield Warning("NoEmptyContinuation", "Empty continuation line", written.place)
    if isinstance(instruction, Maintainer):
        message = "Maintainer instruction is deprecated in favor of using label"
        yield Warning("MaintainerDeprecated", message, written.place)
    if written.keyword in ("ENV", "LABEL") and is_legacy_pair(written):
        new, old = f"{written.keyword} key=value", f"{written.keyword} key value"
        message = f'"{new}" should be used instead of legacy "{old}" format'
        yield Warning("LegacyKeyValueFormat", message, written.place)
    if isinstance(instruction, From):
        yield from _from_warnings(written)
    yield from _description_warnings(styled)


def casing_warnings(styled: list[Styled]) -> list[Warning]:
    """Of the keywords of the whole file, but global ARGs: most are in upper or in lower case, and so should all be."""
    first = next(i for i, one in enumerate(styled) if isinstance(one.instruction, From))
    keywords = [(one.written.split.keyword, one.written.place) for one in styled[first:]]
    lower = sum(keyword.islower() for keyword, _ in keywords) > sum(
        keyword.isupper() for keyword, _ in keywords
    )
    casing = "lowercase" if lower else "uppercase"
    return [
        Warning(
            "ConsistentInstructionCasing",
            f"Command '{keyword}' should match the case of the command majority ({casing})",
            place,
        )
        for keyword, place in keywords
        if not (keyword.islower() if lower else keyword.isupper())
    ]


def _from_warnings(written: Written) -> Iterator[Warning]:
    words = split_words(written.arguments)
    if len(words) != 3:
        return
    _, as_, name = words
    if name != name.lower():
        yield Warning("StageNameCasing", f"Stage name '{name}' should be lowercase", written.place)
    keyword = written.split.keyword
    if (keyword.islower() and not as_.islower()) or (keyword.isupper() and not as_.isupper()):
        message = f"'{as_}' and '{keyword}' keywords' casing do not match"
        yield Warning("FromAsCasing", message, written.place)


def _description_warnings(styled: Styled) -> Iterator[Warning]:
    """A comment right above a stage or an ARG describes it, and begins with its name."""
    instruction = styled.instruction
    if isinstance(instruction, From):
        names = [instruction.stage_name] if instruction.stage_name else []
    else:
        names = [name for name, _ in instruction.pairs] if isinstance(instruction, Arg) else []
    if not names or not styled.statement.comments or styled.statement.comments[-1].split(" ")[0] in names:
        return
    example = names[0] if len(names) == 1 else "<arg_key>"
    message = f"Comment for {styled.written.keyword} should follow the format: `# {example} <description>`"
    yield Warning("InvalidDefinitionDescription", message, styled.written.place)
