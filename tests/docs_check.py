"""Runs the shell commands of a document, so that it cannot promise what does not work: `make docs-check`.

Every fenced block named `sh` or `console` is run by bash in the project's root, `.venv/bin` first in PATH, and must
succeed. In a `console` block the lines after `$ ` (and `> `, which continues them) are commands, the rest is output for
people. A block is left out where the line before it says why:

    <!-- docs-check: skip: needs a cluster -->
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIMIT_SECONDS = 600
_ROOT = Path(__file__).parent.parent
_FENCE = re.compile(r"^```(sh|console)\s*$")
_SKIP = re.compile(r"^<!-- docs-check: skip: (.+) -->$")
_PROMPTS = ("$ ", "> ")


@dataclass(frozen=True, slots=True)
class Block:
    """`line` is where its fence stands, counted from 1; `skip` is the reason not to run it."""

    line: int
    script: str
    skip: str | None


def parse_blocks(text: str) -> Iterator[Block]:
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if fence := _FENCE.match(line):
            end = lines.index("```", index + 1)
            body = lines[index + 1 : end]
            if fence.group(1) == "console":
                body = [text[2:] for text in body if text.startswith(_PROMPTS)]
            marked = _SKIP.match(lines[index - 1]) if index else None
            yield Block(index + 1, "\n".join(body) + "\n", marked.group(1) if marked else None)


def check(document: Path) -> int:
    """How many blocks of `document` failed."""
    failures = 0
    for block in parse_blocks(document.read_text()):
        place = f"{document}:{block.line}"
        if block.skip:
            print(f"{place}: skipped: {block.skip}")
        elif problem := _run(block.script):
            failures += 1
            print(f"{place}: FAILED: {problem}")
        else:
            print(f"{place}: ok")
    return failures


def _run(script: str) -> str | None:
    path = f"{_ROOT / '.venv/bin'}:{os.environ['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", script]
    try:
        done = subprocess.run(
            command,
            cwd=_ROOT,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not done after {LIMIT_SECONDS} s"
    return f"exit code {done.returncode}" if done.returncode else None


if __name__ == "__main__":
    sys.exit(bool(sum(check(Path(argument)) for argument in sys.argv[1:])))
