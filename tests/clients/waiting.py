"""`wait_until`: for what another process does in its own time, such as writing its log once an answer is out."""

from collections.abc import Awaitable, Callable
from inspect import isawaitable

import trio

_POLL_SECONDS = 0.03


async def wait_until(
    condition: Callable[[], bool] | Callable[[], Awaitable[bool]], deadline_seconds: float = 10
) -> None:
    """Raises AssertionError where `condition` is still false at the deadline."""
    with trio.move_on_after(deadline_seconds):
        while True:
            met = condition()
            if await met if isawaitable(met) else met:
                return
            await trio.sleep(_POLL_SECONDS)
    raise AssertionError(f"not so after {deadline_seconds} s: {condition}")
