"""`run`: one command of a real tool, with a deadline, and an error that shows what the tool said."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio


@dataclass(frozen=True, slots=True)
class Output:
    stdout: str
    stderr: str
    exit_code: int


class CommandFailed(AssertionError):
    """The tool ended with an error where none was expected, or did not end in time."""


async def run(
    *command: str | Path,
    environment: Mapping[str, str] | None = None,
    deadline_seconds: float = 60,
    check: bool = True,
    stdin: bytes = b"",
) -> Output:
    """Runs `command` to its end. `environment` is added to our own. Raises CommandFailed (with `check`, on any
    exit code but 0; always at the deadline, after which the process is gone)."""
    with trio.move_on_after(deadline_seconds):
        done = await trio.run_process(
            [str(part) for part in command],
            stdin=stdin,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env={**os.environ, **(environment or {})},
        )
        return _checked(command, done, check)
    raise CommandFailed(f"{_line(command)}: not done after {deadline_seconds} s")


def _checked(
    command: Sequence[str | Path], done: "subprocess.CompletedProcess[bytes]", check: bool
) -> Output:
    output = Output(
        done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), done.returncode
    )
    if check and output.exit_code != 0:
        raise CommandFailed(f"{_line(command)}: exit code {output.exit_code}\n{output.stdout}{output.stderr}")
    return output


def _line(command: Sequence[str | Path]) -> str:
    return " ".join(str(part) for part in command)
