"""`PickList`: a set from which members are picked by chance at a cost that does not grow with it.

A list beside a dict of places; removal swaps with the last. What is picked is decided in hand_out.py.
"""

import random
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class PickList(Generic[T]):
    __slots__ = ("_items", "_places")

    def __init__(self) -> None:
        self._items: list[T] = []
        self._places: dict[T, int] = {}

    def add(self, item: T) -> None:
        if item not in self._places:
            self._places[item] = len(self._items)
            self._items.append(item)

    def discard(self, item: T) -> None:
        place = self._places.pop(item, None)
        if place is None:
            return
        last = self._items.pop()
        if place < len(self._items):
            self._items[place] = last
            self._places[last] = place

    def pick(self, rng: random.Random) -> T:
        """Raises IndexError where there is nothing."""
        if not self._items:
            raise IndexError("nothing to pick from")
        # int(random() * n): rng.choice costs three times as much, and this is the hottest line of a hand-out
        return self._items[int(rng.random() * len(self._items))]

    def shuffled(self, rng: random.Random) -> list[T]:
        return rng.sample(self._items, len(self._items))

    def __contains__(self, item: T) -> bool:
        return item in self._places

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)
