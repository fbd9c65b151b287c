"""`Clock`: simulated time and the heap of what is to happen. Things due at the same time happen in the order asked."""

import heapq
from collections.abc import Callable
from typing import Any


class Clock:
    __slots__ = ("_heap", "_sequence", "events", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self.events = 0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._sequence = 0

    def at(self, when: float, what: Callable[..., None], *args: Any) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, what, args))

    def after(self, seconds: float, what: Callable[..., None], *args: Any) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (self.now + seconds, self._sequence, what, args))

    def run(self, goes_on: Callable[[], bool], until: float) -> None:
        """Until nothing is left to happen, `until` is reached, or `goes_on` (asked after every event) says no."""
        heap, pop = self._heap, heapq.heappop
        while heap and goes_on():
            when, _, what, args = pop(heap)
            if when > until:
                self.now = until
                return
            self.now = when
            self.events += 1
            what(*args)
