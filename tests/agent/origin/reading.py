"""How these tests set up the client against the fake registry, and read with it."""

import random
from collections.abc import Sequence

from agent.content.digest import Digest
from agent.content.reference import Repository
from agent.origin.client import Timeouts
from agent.origin.content_reader import ContentReader
from agent.origin.origin import Origin, OriginOptions
from agent.origin.upstream import Upstream
from tests.fakes.upstream import FakeUpstream


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


async def receive(reader: ContentReader, limit_bytes: int = 1024 * 1024) -> bytes:
    """The next bytes, b"" at the end."""
    buffer = bytearray(limit_bytes)
    return bytes(buffer[: await reader.receive_into(memoryview(buffer))])


async def read_all(
    origin: Origin,
    repository: Repository,
    digest: Digest,
    start: int = 0,
    stop: int | None = None,
    size: int | None = None,
) -> bytes:
    async with origin.open_content(repository, digest, start=start, stop=stop, size=size) as reader:
        parts = []
        while part := await receive(reader):
            parts.append(part)
        assert await receive(reader) == b""
        return b"".join(parts)
