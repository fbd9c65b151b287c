"""Exit codes of every `shoal` command, by who must act. Documented in docs/commands.md."""

from agent.content.errors import (
    AgentError,
    ContentError,
    DiskError,
    InputError,
    NotFound,
    ShoalError,
    SourceError,
    Unauthorized,
)

FAILURE = 1
USAGE = 2  # click's own, and every mistake in a reference or the configuration
NOT_FOUND = 3
UNAUTHORIZED = 4
UNREACHABLE = 5
DISK = 6
CONTENT = 7
INTERRUPTED = 130

_BY_ERROR: tuple[tuple[type[ShoalError], int], ...] = (
    (InputError, USAGE),
    (NotFound, NOT_FOUND),
    (Unauthorized, UNAUTHORIZED),
    (SourceError, UNREACHABLE),
    (AgentError, UNREACHABLE),
    (DiskError, DISK),
    (ContentError, CONTENT),
)


def exit_code_of(error: ShoalError) -> int:
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), FAILURE)
