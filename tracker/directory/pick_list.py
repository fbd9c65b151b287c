"""`PickList`: a set with places, so that members are picked by chance at a cost that does not grow with it.

A list beside a dict of places; removal swaps with the last. What is picked is decided in hand_out.py.
"""

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

    def __getitem__(self, place: int) -> T:
        """Places change with every addition and removal: any one is as good as another."""
        return self._items[place]

    def __contains__(self, item: T) -> bool:
        return item in self._places

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)
