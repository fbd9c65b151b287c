"""What a command's failures become."""

import errno

import pytest

from agent.commands.running import run_async
from agent.content.errors import DiskError, NotFound, ShoalError, Throttled


async def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DiskError("full"), 6),
        (Throttled("later"), 5),
        (ShoalError("hm"), 1),
        (ExceptionGroup("", [ExceptionGroup("", [NotFound("gone")])]), 3),
        (KeyboardInterrupt(), 130),
        (BaseExceptionGroup("", [KeyboardInterrupt(), DiskError("full")]), 130),
        (OSError(errno.ENOSPC, "No space left on device"), 6),
        (ExceptionGroup("", [OSError(errno.ENOSPC, "No space left on device")]), 6),
        (ZeroDivisionError("a bug"), 1),
        (ExceptionGroup("", [NotFound("gone"), ZeroDivisionError("a bug")]), 1),
    ],
)
def test_every_failure_is_a_line_and_an_exit_code(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run_async(_raise, error)
    assert end.value.code == code
    told = capsys.readouterr().err
    assert told.startswith("shoal: ")
    assert "Traceback" not in told
    assert ("this is a bug" in told) == ("ZeroDivision" in repr(error))


def test_a_reader_that_left_is_left_to_click() -> None:
    with pytest.raises(BrokenPipeError):
        run_async(_raise, ExceptionGroup("", [BrokenPipeError()]))
