"""A clock that jumps only once the machine has been quiet for a moment: real sockets take part in these tests."""

import random
from collections.abc import Sequence

import pytest
import trio.testing

from agent.content.reference import Repository
from agent.origin.client import Timeouts
from agent.origin.origin import OriginOptions
from agent.origin.upstream import Upstream
from tests.fakes.upstream import FakeUpstream

_QUIET_SECONDS = 0.02


@pytest.fixture
def autojump_clock() -> trio.testing.MockClock:
    return trio.testing.MockClock(autojump_threshold=_QUIET_SECONDS)


def options(resolver: object = None, **timeouts: float) -> OriginOptions:
    """Options with a known chance; `resolver` as in OriginOptions."""
    return OriginOptions(timeouts=Timeouts(**timeouts), rng=random.Random(1), resolver=resolver)  # type: ignore[arg-type]


def upstreams_of(fake: FakeUpstream) -> Sequence[Upstream]:
    return [Upstream(fake.host, fake.url)]


def app(fake: FakeUpstream, name: str = "library/app") -> Repository:
    return Repository.of(fake.host, name)


async def everything_is_here(host: str, port: int) -> list[str]:
    """A resolver for which every name is this machine."""
    return ["127.0.0.1"]
