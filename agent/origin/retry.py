"""What is tried again, when, and how often; and what a status means to those above. PURE.

A registry that asks for patience (429, 503) is not asked again here: the answer goes up, where the whole cluster minds
it. Everything that may be chance (5xx, cut connections, a short body) is tried again quickly and a few times.
"""

import email.utils
import random
from dataclasses import dataclass

from agent.content.errors import NotFound, ShoalError, SourceError, Throttled, Unauthorized

_MAX_RETRY_AFTER_SECONDS = 24 * 3600.0
_CHANCE_STATUSES = frozenset({408, 421, 425})


class Transient(Exception):
    """A failure that may be chance. `error` is what to tell where it is not."""

    def __init__(self, error: ShoalError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Up to `attempts` tries without progress; waits double, each is between half and all of that.

    What is small (manifests) is not tried again once `budget_seconds` are over: somebody waits for it, and what is
    known already may do. Content in the middle is.
    """

    attempts: int = 4
    first_wait_seconds: float = 0.2
    max_wait_seconds: float = 2.0
    budget_seconds: float = 4.0

    def may_retry(self, failures: int, elapsed_seconds: float = 0.0) -> bool:
        """`failures` in a row so far, the last one included."""
        return failures < self.attempts and elapsed_seconds < self.budget_seconds

    def wait_seconds(self, failures: int, rng: random.Random) -> float:
        """The wait after the `failures`-th failure in a row; 1 is the first."""
        full = min(self.first_wait_seconds * 2.0 ** min(failures - 1, 30), self.max_wait_seconds)
        return full * rng.uniform(0.5, 1.0)


def is_transient_status(status: int) -> bool:
    return status in _CHANCE_STATUSES or (status >= 500 and status not in (501, 503, 505))


def error_of(
    status: int,
    who: str,
    what: str,
    *,
    retry_after_seconds: float | None = None,
    code: str = "",
    writes: bool = False,
) -> ShoalError:
    """The error that a status is. `who` is the registry's host, `what` the content, `code` the registry's own;
    `writes`: it was to be changed."""
    said = f" ({code})" if code else ""
    if status in (404, 410):
        return NotFound(f"{what} does not exist on {who}{said}")
    if status in (401, 403) and writes:
        return Unauthorized(f"{who} refuses {what}{said}: it needs credentials that may push there")
    if status in (401, 403):
        return Unauthorized(
            f"{who} refuses access to {what}{said}: it does not exist there, or needs credentials that may read it"
        )
    if status in (429, 503):
        again = f", again in {retry_after_seconds:.0f} s" if retry_after_seconds is not None else ""
        return Throttled(
            f"{who} asks for patience with {what}{said}: status {status}{again}", retry_after_seconds
        )
    return SourceError(f"{who} answered {what} with status {status}{said}")


def parse_retry_after(text: str | None, now_unix: float) -> float | None:
    """Seconds to wait that a Retry-After header says (seconds, or a date); None where it says nothing."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), _MAX_RETRY_AFTER_SECONDS)
    try:
        until = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(until - now_unix, 0.0), _MAX_RETRY_AFTER_SECONDS)
