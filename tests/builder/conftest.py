from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.scratch import open_scratch


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory with a short path, for Unix sockets and mounts; gone after the test, mounts included."""
    with open_scratch() as directory:
        yield directory
