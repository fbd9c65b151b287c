"""`Hop`: how blocking work (disk, hashing) leaves trio's thread and comes back. One hop a chunk.

Injectable, because on a MockClock a thread counts as blocked and the clock would jump: tests use `run_inline`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import trio

T = TypeVar("T")
INLINE_BYTES = 64 * 1024  # hashing and writing this much costs about as much as the hop
BRIEF_BYTES = 1024 * 1024  # a file of this size is opened, or brought to the disk, in a moment


class Hop(Protocol):
    async def __call__(self, work: Callable[..., T], *args: Any) -> T: ...


class ThreadHop:
    """Runs work in a worker thread, a few at a time."""

    def __init__(self, threads: int = 4) -> None:
        self._limiter = trio.CapacityLimiter(threads)

    async def __call__(self, work: Callable[..., T], *args: Any) -> T:
        return await trio.to_thread.run_sync(work, *args, limiter=self._limiter)


def _spared_cores() -> int:
    return min(max(len(os.sched_getaffinity(0)) - 1, 1), 4)


@dataclass(frozen=True, slots=True)
class Hops:
    """`brief`: for what takes a moment and comes by the dozen, opening and committing the layers of an image. Several
    at a time only fight for the interpreter and the store's lock, and whoever serves clients loses with them.
    `hashing`: for checking chunks. A core is left to whoever waits for the bytes: a client on the same machine has them
    later where every core is busy with what it will want next (on two cores a layer of 512 MiB a tenth later).
    `other`: for what may take long.
    """

    brief: Hop
    hashing: Hop
    other: Hop

    @classmethod
    def of_threads(cls) -> Self:
        return cls(ThreadHop(1), ThreadHop(_spared_cores()), ThreadHop())


async def run_inline(work: Callable[..., T], *args: Any) -> T:
    await trio.lowlevel.checkpoint()
    return work(*args)
