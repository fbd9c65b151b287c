"""What to do about a full disk, said with the failure; a command of a RUN that filled it says nothing of the kind."""

import errno
import os
from pathlib import Path

from agent.content.errors import DiskError, ShoalError
from agent.store.disk_errors import free_bytes
from builder.execution.step_failure import StepFailed

_FULL_BELOW_BYTES = 1 << 20
_WORDS = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "disk is full")  # the last is SQLite's
_HELP = "`shoal build-prune` removes what builds keep, `shoal prune` images without a name"


def with_help(error: ShoalError, directory: Path) -> ShoalError:
    """directory: where builds are at work."""
    if isinstance(error, StepFailed) and isinstance(error.cause, DiskError):
        return StepFailed(error.title, error.line, with_help(error.cause, directory))
    if not isinstance(error, DiskError):
        return error
    is_full = any(word in str(error) for word in _WORDS) or _is_full(directory)
    return DiskError(f"{error}; {_HELP}") if is_full else error


def full_disk_hint(directory: Path) -> str:
    """To go on after a problem with; "" where there is room."""
    return f"; the disk of {directory} is full: {_HELP}" if _is_full(directory) else ""


def _is_full(directory: Path) -> bool:
    try:
        return free_bytes(directory) < _FULL_BELOW_BYTES
    except OSError:
        return False
