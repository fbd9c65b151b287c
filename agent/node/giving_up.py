"""When a download gives up: policy. The registry said no, or keeps failing, and nobody else brings anything either."""

from dataclasses import dataclass

from agent.content.errors import ContentError, NotFound, ShoalError, Throttled, Unauthorized

_ALONE_FAILURES = 3
_REFUSED_GRACE_SECONDS = 2.0
_FAILING_SECONDS = 20.0
_LONGEST_PAUSE_SECONDS = 30.0
_DRIPPING_SECONDS = 60.0  # bytes that come, and never make a whole chunk


@dataclass(frozen=True, slots=True)
class Failures:
    """What reading the registry came to. `count`: in a row, without a chunk from anywhere in between."""

    last: ShoalError
    count: int
    first_at: float


def give_up_at(failures: Failures, moved_at: float, others: bool) -> float:
    """The time at which to fail with `failures.last`. others: somebody else takes part in the swarm, and may have
    it.
    """
    quiet_since = min(max(moved_at, failures.first_at), failures.first_at + _DRIPPING_SECONDS)
    if isinstance(failures.last, NotFound | Unauthorized):
        return quiet_since + (_REFUSED_GRACE_SECONDS if others else 0.0)
    if isinstance(failures.last, Throttled):
        return quiet_since + _LONGEST_PAUSE_SECONDS
    if isinstance(failures.last, ContentError):
        return quiet_since + (0.0 if failures.count >= 2 else 2 * _FAILING_SECONDS)
    if not others and failures.count >= _ALONE_FAILURES:
        return quiet_since
    return quiet_since + _FAILING_SECONDS


def retry_at(failures: Failures, now: float) -> float:
    """When this node may read the registry again after a failure."""
    if isinstance(failures.last, Throttled) and failures.last.retry_after_seconds is not None:
        return now + min(failures.last.retry_after_seconds, _LONGEST_PAUSE_SECONDS)
    return now + min(0.25 * 2.0**failures.count, 8.0)
