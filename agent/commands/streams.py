"""Where a command's bytes come from and go to: a file, standard input and output, never a terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from agent.content.errors import InputError
from agent.store.disk_errors import disk_errors


@contextmanager
def open_input(path: str | None, doing: str) -> Iterator[BinaryIO]:
    """`path` None or `-`: standard input. Raises InputError."""
    if path is None or path == "-":
        if sys.stdin.isatty():
            raise InputError(f"requested {doing} from standard input, but it is a terminal: name a file")
        yield sys.stdin.buffer
        return
    with _opened(path) as file:
        yield file


def _opened(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


@contextmanager
def open_output(path: str | None, doing: str) -> Iterator[BinaryIO]:
    """`path` None or `-`: standard output. A file appears when it is whole, and a failure leaves the one before.

    Raises InputError for a terminal, DiskError.
    """
    if path is None or path == "-":
        if sys.stdout.isatty():
            raise InputError(f"cowardly refusing to {doing} to a terminal. Use the -o flag or redirect")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(path)
    with disk_errors(f"write {target.name}", target.parent):
        if target.exists() and not target.is_file():  # /dev/null, a named pipe
            with target.open("wb") as file:
                yield file
            return
        staged = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with staged.open("xb") as file:
                yield file
            staged.rename(target)
        finally:
            staged.unlink(missing_ok=True)
