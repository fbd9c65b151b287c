"""`return_freed_memory`: what a daemon has loaded is looked at no more; after a busy time its memory goes back to what
it uses.

glibc keeps what is freed in pieces all over its heap: after a pull of 114 MB a node has 67 MiB resident and uses 53.
malloc_trim(3) returns the rest in a few milliseconds. A fixed M_MMAP_THRESHOLD of 128 KiB (mallopt(3)) returns it as
it goes, but costs half as much CPU again during the pull: every buffer is mapped and faulted in anew.
"""

import ctypes
import gc
from collections.abc import Callable

import trio

_LOOK_SECONDS = 2.0
_M_ARENA_MAX = -8  # malloc.h


async def return_freed_memory(work_done: Callable[[], int], trim: Callable[[], None] | None = None) -> None:
    """Until cancelled. `work_done` is a count that moves while there is work; memory goes back once after each time it
    moved, when it has stood still for a while."""
    _use_one_heap()
    gc.freeze()  # each full collection would look at all that was loaded, for 13 ms in the middle of a pull
    trim = trim or _trim
    seen, trimmed_at = work_done(), -1
    while True:
        await trio.sleep(_LOOK_SECONDS)
        now = work_done()
        if now == seen and now != trimmed_at:
            trim()
            trimmed_at = now
        seen = now


def _use_one_heap() -> None:
    """glibc gives threads heaps of their own, each with rests that cannot be returned; ours take turns anyway."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def _trim() -> None:
    """Nothing happens where the C library is another one than glibc."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
