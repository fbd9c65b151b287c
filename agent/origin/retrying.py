"""`retrying`: one attempt after the other, as the policy of retry.py allows."""

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from agent.origin.retry import RetryPolicy, Transient

_T = TypeVar("_T")


async def retrying(
    attempt: Callable[[], Awaitable[_T]],
    retries: RetryPolicy,
    rng: random.Random,
    *,
    budgeted: bool = True,
    progress: Callable[[], int] = lambda: 0,
) -> _T:
    """What `attempt` returns. `budgeted`: not tried again once the policy's budget is over, as what is small.
    `progress`: a failure that came further than the one before it is the first again. Raises the last Transient's
    error, and at once whatever else `attempt` raises.
    """
    failures, started, reached = 0, trio.current_time(), progress()
    while True:
        try:
            return await attempt()
        except Transient as failure:
            failures = failures + 1 if progress() <= reached else 1
            reached = max(reached, progress())
            elapsed_seconds = trio.current_time() - started if budgeted else 0.0
            if not retries.may_retry(failures, elapsed_seconds):
                raise failure.error from None
        await trio.sleep(retries.wait_seconds(failures, rng))
