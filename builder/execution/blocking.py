"""Blocking context managers (mounts, locks) in an async function: entered and left in worker threads, never half."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TypeVar

import trio

T = TypeVar("T")


@asynccontextmanager
async def held_in_threads(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """A cancellation waits until it was entered, and until it was left."""
    value = await trio.to_thread.run_sync(manager.__enter__)
    failure: BaseException | None = None
    try:
        yield value
    except BaseException as error:
        failure = error
        raise
    finally:
        told = (None, None, None) if failure is None else (type(failure), failure, failure.__traceback__)
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(manager.__exit__, *told)
