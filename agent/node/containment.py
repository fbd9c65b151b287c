"""`contained`: where a bug ends. One download, one link, one answer of the tracker may fail unexpectedly; the node
goes on.

What is expected (a ShoalError) passes, and so does a cancellation. Anything else is a mistake of ours: it is logged
with its traceback and counted.
"""

import logging

from agent.content.errors import ShoalError
from agent.telemetry.metrics import Metrics

_logger = logging.getLogger("shoal.node")


class _Contained:
    def __init__(self, metrics: Metrics, doing: str) -> None:
        self._metrics = metrics
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, ShoalError):
            return False
        if isinstance(error, Exception):
            _report(self._metrics, self._doing, error)
            return True
        if isinstance(error, BaseExceptionGroup):
            bugs, rest = error.split(Exception)
            if bugs is not None and rest is not None:
                _report(self._metrics, self._doing, bugs)
                raise rest from None
        return False


def contained(metrics: Metrics, doing: str) -> _Contained:
    """`doing`: what breaks off, for the log."""
    return _Contained(metrics, doing)


def _report(metrics: Metrics, doing: str, error: BaseException) -> None:
    metrics.count_error(error)
    _logger.error("unexpected failure of %s", doing, exc_info=error)
