"""`Series`: rows that are measured one after another, maybe for hours.

Each row is in the JSON file as soon as it is measured; one that fails is told, and the others go on; how many are left,
and about how long they will take, is told before each. What was broken off goes on with `resume`: what the file has is
not measured again.
"""

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from agent.commands.exit_codes import INTERRUPTED
from agent.commands.quantities import seconds_text


class Row(Protocol):
    """A dataclass of what JSON knows."""

    @property
    def name(self) -> str: ...

    def line(self) -> str: ...


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Job(Generic[R]):
    """name: that of the row. usual_seconds: that it takes, more or less; what counts is how it compares to others."""

    name: str
    usual_seconds: float
    measure: Callable[[], R]


class UnusableFile(Exception):
    """Rows cannot be kept in it, or what it has are no rows."""


class Series(Generic[R]):
    """`rows`: by name, what was measured, and what the file had. Raises UnusableFile, before anything is measured."""

    def __init__(self, row_type: type[R], file: Path | None, *, resume: bool) -> None:
        self.rows: dict[str, R] = {}
        self._file = file
        try:
            if file is not None and resume and file.exists():
                kept = [row_type(**fields) for fields in json.loads(file.read_text())]
                self.rows = {row.name: row for row in kept}
            self._save()
        except (OSError, ValueError, TypeError) as error:
            raise UnusableFile(f"{file}: {error}") from None

    def run(self, jobs: Sequence[Job[R]], now: Callable[[], float] = time.monotonic) -> int:
        """The exit code: 0, 1 where a row failed, 2 where there is nothing to measure, 130 after Ctrl-C."""
        if not jobs:
            print("nothing has a name like that", file=sys.stderr)
            return 2
        left = [job for job in jobs if job.name not in self.rows]
        for job in jobs:
            if job.name in self.rows:
                print(self.rows[job.name].line(), "(measured before)", flush=True)
        failed: list[str] = []
        began, count = now(), len(left)
        for number, job in enumerate(left):
            rest = remaining_seconds(now() - began, left[:number], left[number:])
            print(f"[{number + 1} of {count}, about {seconds_text(rest)} left] {job.name}", file=sys.stderr)
            try:
                row = job.measure()
            except BaseException as error:
                if _is_interrupt(error):
                    print(f"broken off; --resume goes on with {job.name}", file=sys.stderr)
                    return INTERRUPTED
                if not isinstance(error, Exception):
                    raise
                failed.append(job.name)
                traceback.print_exception(error)
                print(f"{job.name}: FAILED: {_reason(error)}", flush=True)
                continue
            self.rows[job.name] = row
            print(row.line(), flush=True)
            self._save()
        if failed:
            print(f"{len(failed)} of {count} failed: {'; '.join(failed)}", flush=True)
        return int(bool(failed))

    def _save(self) -> None:
        """The file is always whole."""
        if self._file is None:
            return
        rows: Sequence[Any] = list(self.rows.values())
        fields = [asdict(row) for row in rows]
        if self._file.exists() and not self._file.is_file():
            self._file.write_text(json.dumps(fields) + "\n")  # /dev/stdout, say
            return
        new = self._file.with_name(self._file.name + ".new")
        new.write_text(json.dumps(fields, indent=1) + "\n")
        new.replace(self._file)


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, help="where every row is kept as soon as it is measured")
    parser.add_argument("--resume", action="store_true", help="measure only what is not in that file yet")


def open_series(row_type: type[R], parser: argparse.ArgumentParser, given: argparse.Namespace) -> Series[R]:
    """By the flags of `add_flags`; ends the process where they cannot be followed."""
    if given.resume and given.json is None:
        parser.error("--resume needs --json FILE, which has what was measured before")
    try:
        return Series(row_type, given.json, resume=given.resume)
    except UnusableFile as error:
        parser.error(str(error))


def remaining_seconds(spent_seconds: float, done: Sequence[Job[R]], left: Sequence[Job[R]]) -> float:
    """As fast, compared to what is usual, as those that are done."""
    usual = sum(job.usual_seconds for job in done)
    pace = spent_seconds / usual if usual else 1.0
    return pace * sum(job.usual_seconds for job in left)


def _is_interrupt(error: BaseException) -> bool:
    """Ctrl-C may come out of nurseries."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(KeyboardInterrupt) is not None
    return isinstance(error, KeyboardInterrupt)


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}".splitlines()[0]
