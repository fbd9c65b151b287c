"""Warnings as BuildKit's clients show them: one line each behind a build, at length where they were
asked for. PURE.
"""

import base64
import re
from collections.abc import Sequence
from typing import Any

from builder.dockerfile.instructions import Dockerfile, Warning
from builder.execution.step_failure import place_lines

_RULES = "https://docs.docker.com/go/dockerfile/rule"
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WITHOUT_PAGE = ("UnusedBuildArgs",)


def behind_build(warnings: Sequence[Warning]) -> str:
    """ "" where there is none."""
    if not warnings:
        return ""
    head = "1 warning found" if len(warnings) == 1 else f"{len(warnings)} warnings found"
    lines = [f" - {_short(one)}" for one in warnings]
    return "\n".join(["", f" {head} (--check shows more):", *lines])


def status_fields(warnings: Sequence[Warning], dockerfile: Dockerfile) -> dict[str, Any]:
    """For `--progress rawjson`: the `warnings` of a SolveStatus (client/graph.go, VertexWarning; bytes are base64)."""
    return {
        "warnings": [
            {
                "level": 1,
                "short": base64.b64encode(_short(one).encode()).decode(),
                "url": _page(one),
                "sourceInfo": {"filename": dockerfile.name, "language": "Dockerfile"},
                "range": [_range(one)],
            }
            for one in warnings
        ]
    }


def _short(warning: Warning) -> str:
    return f"{warning.rule}: {warning.message} (line {warning.place.line})"


def _range(warning: Warning) -> dict[str, dict[str, int]]:
    return {"start": {"line": warning.place.line}, "end": {"line": warning.place.end_line}}


def of_check(warnings: Sequence[Warning], dockerfile: Dockerfile) -> str:
    match len(warnings):
        case 0:
            return "Check complete, no warnings found."
        case 1:
            head = "Check complete, 1 warning has been found!"
        case count:
            head = f"Check complete, {count} warnings have been found!"
    return "\n".join([head, *(line for one in warnings for line in _at_length(one, dockerfile))])


def check_fields(warnings: Sequence[Warning], dockerfile: Dockerfile) -> dict[str, Any]:
    """For one JSON object, with the names that BuildKit's frontend/subrequests/lint gives them."""
    return {
        "warnings": [
            {
                "ruleName": one.rule,
                "url": _page(one),
                "detail": one.message,
                "location": {"ranges": [_range(one)]},
            }
            for one in warnings
        ],
        "sources": [{"filename": dockerfile.name, "language": "Dockerfile"}],
    }


def _page(warning: Warning) -> str:
    if warning.rule in _WITHOUT_PAGE:
        return ""
    return f"{_RULES}/{_WORD_START.sub('-', warning.rule).lower()}/"


def _at_length(warning: Warning, dockerfile: Dockerfile) -> list[str]:
    page = f" - {address}" if (address := _page(warning)) else ""
    where = place_lines(dockerfile.lines, dockerfile.name, warning.place.line)
    return ["", f"WARNING: {warning.rule}{page}", warning.message, *where]
