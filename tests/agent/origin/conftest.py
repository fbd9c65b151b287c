"""A clock that jumps only once the machine has been quiet for a moment: real sockets take part in these tests."""

import pytest
import trio.testing

_QUIET_SECONDS = 0.01


@pytest.fixture
def autojump_clock() -> trio.testing.MockClock:
    return trio.testing.MockClock(autojump_threshold=_QUIET_SECONDS)
