"""`ByteProgress`: how far a command is with its bytes, on standard error, where that is a terminal."""

import sys
import time
from collections.abc import Callable

from agent.commands.quantities import percent_text, size_text

_INTERVAL_SECONDS = 0.1
_WIDTH = 30


class ByteProgress:
    """Use it in a `with`; calling it tells of more bytes. Elsewhere than on a terminal it says nothing."""

    def __init__(self, doing: str, total_bytes: int | None = None, *, quiet: bool = False) -> None:
        self._doing = doing
        self._total_bytes = total_bytes
        self._shown = sys.stderr.isatty() and not quiet
        self._done_bytes = 0
        self._next = 0.0

    def __call__(self, count: int) -> None:
        self._done_bytes += count
        if self._shown and (now := time.monotonic()) >= self._next:
            self._next = now + _INTERVAL_SECONDS
            sys.stderr.write(f"\r{progress_line(self._doing, self._done_bytes, self._total_bytes)}\x1b[K")
            sys.stderr.flush()

    def __enter__(self) -> Callable[[int], None]:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown and self._next:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def progress_line(doing: str, done_bytes: int, total_bytes: int | None) -> str:
    if not total_bytes:
        return f"{doing}  {size_text(done_bytes)}"
    share = min(done_bytes / total_bytes, 1.0)
    bar = "=" * int(share * _WIDTH) + ">" * (share < 1)
    return (
        f"{doing}  [{bar:<{_WIDTH}}]  {size_text(done_bytes)}/{size_text(total_bytes)}  {percent_text(share)}"
    )
