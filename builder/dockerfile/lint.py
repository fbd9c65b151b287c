"""Warnings about what a Dockerfile says as a whole, as far as the file alone tells. PURE.

Rules, names and messages are BuildKit's (docs.docker.com/reference/build-checks). How instructions are written is in
style.py; what needs an environment (UndefinedVar, the ports of EXPOSE: ports.py) or an image the plan says; what needs
the context's ignore patterns is `ignored_sources` here, for who has them.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from builder.dockerfile.from_rules import from_warnings
from builder.dockerfile.ignore import IgnorePatterns
from builder.dockerfile.instructions import (
    Arg,
    Cmd,
    Dockerfile,
    Entrypoint,
    Env,
    Healthcheck,
    Place,
    Shell,
    Stage,
    Warning,
    Workdir,
)

_RESERVED = ("context", "scratch")
_SECRET = re.compile(
    r"(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE
)
_NO_SECRET = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)
_EVERYTHING = ("*", "**", "**/*")


@dataclass(slots=True)
class _Seen:
    """What a stage has had so far; `shell` and `directory` come from the stage it begins with."""

    shell: bool = False
    directory: bool = False
    single: dict[str, Place] = field(default_factory=dict)


def lint(dockerfile: Dockerfile) -> tuple[Warning, ...]:
    """All of them; `check.checked` asks the file which it wants to hear of."""
    return tuple(_warnings(dockerfile))


def ignored_sources(
    keyword: str, paths: Iterable[str], patterns: IgnorePatterns, place: Place
) -> Iterator[Warning]:
    """Sources of one COPY or ADD from the main context that are not in it.

    Nothing where the patterns have exceptions: a directory that is left out may have entries that are not.
    """
    if patterns.has_exceptions:
        return
    for path in paths:
        name = path.strip("/") or "."
        if patterns.has_any_of(_EVERYTHING) if name == "." else patterns.matches(name):
            message = (
                f"Attempting to {keyword.title()} file {_quoted(name)} that is excluded by .dockerignore"
            )
            yield Warning("CopyIgnoredFile", message, place)


def _warnings(dockerfile: Dockerfile) -> Iterator[Warning]:
    yield from _name_warnings(dockerfile)
    yield from from_warnings(dockerfile)
    seen_in: dict[str, _Seen] = {}
    for stage in dockerfile.stages:
        below = seen_in.get(stage.from_.image, _Seen())
        seen = _Seen(below.shell, below.directory)
        yield from _stage_warnings(stage, seen)
        if stage.name:
            seen_in[stage.name] = seen


def _name_warnings(dockerfile: Dockerfile) -> Iterator[Warning]:
    names = set()
    for stage in dockerfile.stages:
        if stage.name in _RESERVED:
            message = f"Stage name should not use the same name as reserved stage {_quoted(stage.name)}"
            yield Warning("ReservedStageName", message, stage.from_.place)
        if stage.name in names:
            message = f"Duplicate stage name {_quoted(stage.name)}, stage names should be unique"
            yield Warning("DuplicateStageName", message, stage.from_.place)
        if stage.name:
            names.add(stage.name)


def _stage_warnings(stage: Stage, seen: _Seen) -> Iterator[Warning]:
    for instruction in stage.instructions:
        place = instruction.place
        match instruction:
            case Shell():
                seen.shell = True
            case Cmd() | Entrypoint() | Healthcheck():
                yield from _single_warnings(instruction, seen)
            case Workdir(path=path):
                yield from _directory_warnings(path, seen, place)
            case Arg() | Env():
                yield from _secret_warnings(instruction)
            case _:
                pass


def _single_warnings(instruction: Cmd | Entrypoint | Healthcheck, seen: _Seen) -> Iterator[Warning]:
    """Of several in a stage the last one holds; the place is of the one that does not."""
    keyword = type(instruction).__name__.upper()
    if keyword in seen.single:
        message = (
            f"Multiple {keyword} instructions should not be used in the same stage because only the last one will "
            "be used"
        )
        yield Warning("MultipleInstructionsDisallowed", message, seen.single[keyword])
    seen.single[keyword] = instruction.place
    if not isinstance(instruction, Healthcheck) and instruction.command.shell and not seen.shell:
        message = (
            f"JSON arguments recommended for {keyword} to prevent unintended behavior related to OS signals"
        )
        yield Warning("JSONArgsRecommended", message, instruction.place)


def _directory_warnings(path: str, seen: _Seen, place: Place) -> Iterator[Warning]:
    """The first of a stage alone: the others are right when it is. A variable may well be absolute."""
    bare = path.strip("'\"")
    if not seen.directory and not bare.startswith(("/", "$")):
        message = f"Relative workdir {_quoted(bare)} can have unexpected results if the base image changes"
        yield Warning("WorkdirRelativePath", message, place)
    seen.directory = True


def _secret_warnings(instruction: Arg | Env) -> Iterator[Warning]:
    keyword = type(instruction).__name__.upper()
    for name, _ in instruction.pairs:
        if _SECRET.search(name) and not _NO_SECRET.search(name):
            message = f"Do not use ARG or ENV instructions for sensitive data ({keyword} {_quoted(name)})"
            yield Warning("SecretsUsedInArgOrEnv", message, instruction.place)


def _quoted(text: str | None) -> str:
    """As Go's %q prints it, for the texts that stand here."""
    return json.dumps(text, ensure_ascii=False)
