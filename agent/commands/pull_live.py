"""`LivePull`: the table of pull_table.py, drawn again in place on a terminal."""

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live

from agent.commands.pull_report import BytesBySource
from agent.commands.pull_table import Window, pull_table
from agent.node.pull_progress import PullProgress

_RATE_SECONDS = 3.0


class LivePull:
    """A PullView. It draws when it is shown something: no thread of its own, so nothing draws during a Ctrl-C."""

    def __init__(
        self, console: Console, progress: PullProgress, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._now = now
        self._samples: deque[tuple[float, int]] = deque()
        self._last = progress
        self._live = Live(
            self._drawn(progress), console=console, auto_refresh=False, vertical_overflow="crop"
        )

    def __enter__(self) -> "LivePull":
        self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """What stays on the screen is the last picture."""
        self._live.update(self._drawn(self._last))
        self._live.stop()

    def show(self, progress: PullProgress) -> None:
        self._last = progress
        self._live.update(self._drawn(progress), refresh=True)

    def _drawn(self, progress: PullProgress) -> Group:
        size = self._console.size
        return pull_table(progress, self._rate(progress), Window(size.width, size.height))

    def _rate(self, progress: PullProgress) -> float:
        """Bytes per second over the last seconds; what was here already is no speed."""
        now, total = self._now(), BytesBySource.of_all(progress)
        moved = total.registry + total.peers
        self._samples.append((now, moved))
        while self._samples[0][0] < now - _RATE_SECONDS:
            self._samples.popleft()
        at, before = self._samples[0]
        return (moved - before) / (now - at) if now > at else 0.0
