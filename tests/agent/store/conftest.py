from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.store.store import Store


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path, clock: Clock) -> Iterator[Store]:
    with Store(root, now=clock) as opened:
        yield opened
