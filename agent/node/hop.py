"""`Hop`: how blocking work (disk, hashing) leaves trio's thread and comes back. One hop a chunk.

Injectable, because on a MockClock a thread counts as blocked and the clock would jump: tests use `run_inline`.
"""

import os
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import trio

T = TypeVar("T")
INLINE_BYTES = 64 * 1024  # hashing and writing this much costs about as much as the hop


class Hop(Protocol):
    async def __call__(self, work: Callable[..., T], *args: Any) -> T: ...


class ThreadHop:
    """Runs work in a worker thread, a few at a time."""

    def __init__(self, threads: int = 4) -> None:
        self._limiter = trio.CapacityLimiter(threads)

    async def __call__(self, work: Callable[..., T], *args: Any) -> T:
        return await trio.to_thread.run_sync(work, *args, limiter=self._limiter)


def hashing_hop() -> ThreadHop:
    """For checking chunks. A core is left to whoever waits for the bytes: a client on the same machine has them later
    where every core is busy with what it will want next (on two cores a layer of 512 MiB a tenth later).
    """
    return ThreadHop(min(max(len(os.sched_getaffinity(0)) - 1, 1), 4))


async def run_inline(work: Callable[..., T], *args: Any) -> T:
    await trio.lowlevel.checkpoint()
    return work(*args)
