"""`parse_dockerfile`: a file's bytes to its stages. PURE.

The order of the file is kept: lines (lines.py) are joined to statements, a statement's here-documents are taken from
the lines behind it, and the instruction is read (grammar.py) before the next statement is looked for.
"""

from dataclasses import replace

from builder.dockerfile.failure import DockerfileError, Malformed
from builder.dockerfile.grammar import read_instruction
from builder.dockerfile.here_documents import opened_in
from builder.dockerfile.instructions import (
    Arg,
    Dockerfile,
    From,
    HereDocument,
    Instruction,
    Place,
    Stage,
    Warning,
)
from builder.dockerfile.lines import Lines, Statement
from builder.dockerfile.lint import lint
from builder.dockerfile.style import Styled, casing_warnings, style_warnings
from builder.dockerfile.syntax import split_instruction
from builder.dockerfile.white_space import WHITE_SPACE
from builder.dockerfile.written import Written


def parse_dockerfile(content: bytes, name: str = "Dockerfile") -> Dockerfile:
    """Raises DockerfileError. `warnings`: all that the file alone gives reason for, before `check.checked`."""
    lines = Lines(content, name)
    if not content:
        raise DockerfileError(name, lines.all, 1, 1, "the file is empty: it needs a FROM")
    global_args: list[Arg] = []
    stages: list[tuple[From, list[Instruction]]] = []
    styled: list[Styled] = []
    for statement in lines.statements():
        written, instruction = _read(lines, statement)
        styled.append(Styled(written, instruction, statement))
        if isinstance(instruction, From):
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        elif isinstance(instruction, Arg):
            global_args.append(instruction)
        else:
            problem = (
                f"{written.keyword} stands before the first FROM, where only ARG may: begin a stage with FROM"
            )
            raise lines.error(statement.line, written.place.column, problem)
    if not stages:
        what = (
            "has no FROM: there is no stage to build"
            if global_args
            else "has no instruction: it needs a FROM"
        )
        raise lines.error(1, 1, f"the file {what}")
    dockerfile = Dockerfile(
        name,
        lines.all,
        tuple(Stage(number, from_, tuple(rest)) for number, (from_, rest) in enumerate(stages)),
        tuple(global_args),
        lines.directives.escape,
        lines.directives.found.get("syntax"),
        lines.directives.found.get("check"),
    )
    return replace(dockerfile, warnings=(*_style(styled), *lint(dockerfile)))


def parse_instruction(text: str, escape: str, place: Place) -> Instruction:
    """A trigger of ONBUILD, here-documents included, that fires in the stage at `place`. Raises DockerfileError."""
    lines = Lines(text.encode("utf-8", "surrogateescape"), "ONBUILD trigger")
    lines.directives.found["escape"] = escape
    statements = lines.statements()
    statement = next(statements, None)
    if statement is None:
        raise lines.error(1, 1, "the trigger is empty: it needs an instruction")
    written, instruction = _read(lines, statement, place)
    if isinstance(instruction, From) or written.keyword in ("ONBUILD", "MAINTAINER"):
        raise lines.error(1, 1, f"{written.keyword} is no trigger: any other instruction is")
    if (extra := next(statements, None)) is not None:
        raise lines.error(extra.line, 1, "the trigger has a second instruction: it is one")
    return instruction


def _read(lines: Lines, statement: Statement, place: Place | None = None) -> tuple[Written, Instruction]:
    """`place`: where the instruction is said to be, None where it is."""
    text = statement.text.strip(WHITE_SPACE)
    line, column = statement.locate("")
    try:
        written = Written(
            Place(line, statement.end_line, column), text, split_instruction(text), lines.directives.escape
        )
        documents = _documents(lines, written)
        here = place or Place(line, lines.line, column)
        written = Written(here, text, written.split, written.escape, documents)
        return written, read_instruction(written)
    except Malformed as error:
        raise lines.error(*statement.locate(error.near), str(error)) from None


def _documents(lines: Lines, written: Written) -> tuple[HereDocument, ...]:
    documents = []
    for document in opened_in(written.text) if written.may_open_documents else ():
        content = lines.read_document(document.name, document.strip_tabs)
        if content is None:
            raise Malformed(
                f"the here-document is not closed: a line with {document.name} alone must end it",
                document.name,
            )
        documents.append(
            HereDocument(document.name, content, document.expand, document.descriptor, document.strip_tabs)
        )
    return tuple(documents)


def _style(styled: list[Styled]) -> list[Warning]:
    return [warning for one in styled for warning in style_warnings(one)] + casing_warnings(styled)
