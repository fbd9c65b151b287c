"""A scratch directory a test, and an upstream registry to start from."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.clients.registry import Registry, open_registry
from tests.clients.scratch import open_scratch


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory with a short path, for engines' data and sockets; gone after the test, mounts included."""
    with open_scratch() as directory:
        yield directory


@pytest.fixture
async def registry(scratch: Path) -> AsyncIterator[Registry]:
    """A real docker-registry without auth."""
    async with open_registry(scratch / "registry") as running:
        yield running
