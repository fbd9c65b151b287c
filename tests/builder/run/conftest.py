"""`sandbox`: a busybox root on a scratch disk, which is checked to be as it was when the test is over."""

from collections.abc import Iterator

import pytest

from tests.builder.run.small_root import Sandbox, make_root
from tests.clients.scratch import mounts_below, open_scratch


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with open_scratch() as scratch:
        (scratch / "work").mkdir()
        yield Sandbox(make_root(scratch / "root"), scratch / "work")
        assert not list((scratch / "work").iterdir())
        assert not mounts_below(scratch)
