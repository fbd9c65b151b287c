"""The wall clock of one process, moved while that runs; CLOCK_MONOTONIC goes on as ever.

Debian's faketime does it, preloaded. Times of files are the kernel's, so for the process what was written before a jump
is as much older or younger. (time.sleep does not work beneath it; trio's does.)
"""

from pathlib import Path

_LIBRARIES = "*/faketime/libfaketimeMT.so.1"


def new_clock(file: Path) -> str:
    """A file for one that is right so far."""
    move_clock(file, 0)
    return str(file)


def move_clock(file: Path, seconds: int) -> None:
    """So far off the true time are, within a second, the processes that go by this file."""
    new = file.with_suffix(".new")
    new.write_text(f"{seconds:+d}\n")
    new.replace(file)


def clock_environment(file: str) -> dict[str, str]:
    """What a process is to be started with that goes by it."""
    return {
        "LD_PRELOAD": str(next(Path("/usr/lib").glob(_LIBRARIES))),
        "FAKETIME_TIMESTAMP_FILE": file,
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
