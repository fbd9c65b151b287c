"""The client of our own calls: kept connections, caps, deadlines, the one silent retry."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing

from agent.content.errors import TrackerError
from agent.http.client import HttpClient
from agent.http.limits import HttpLimits
from agent.http.request import Request
from agent.http.response import BodySink, Response
from tests.fakes.http_peer import MemoryListener, serving


class LineBody:
    length = None

    def __init__(self, *lines: bytes) -> None:
        self._lines = lines

    async def send_to(self, sink: BodySink) -> None:
        for line in self._lines:
            await sink.send(line)


async def answer(request: Request) -> Response:
    match request.path:
        case "/echo":
            return Response(200, [("X-Got", request.method)], await request.read_body(10_000))
        case "/lines":
            return Response(200, [], LineBody(b"one\ntw", b"o\n", b"\nlast"))
        case "/long":
            return Response(200, [], LineBody(b"x" * 3000))
        case "/silent":
            await trio.sleep_forever()
    return Response(404)


class Dialer:
    """Counts the connections it opens."""

    def __init__(self, connect: Callable[[], Awaitable[trio.abc.Stream]]) -> None:
        self._connect = connect
        self.count = 0

    async def __call__(self) -> trio.abc.Stream:
        self.count += 1
        return await self._connect()


@asynccontextmanager
async def open_client(memory: MemoryListener) -> AsyncIterator[tuple[HttpClient, Dialer]]:
    async def connect() -> trio.abc.Stream:
        return memory.connect().stream

    dialer = Dialer(connect)
    client = HttpClient(dialer, host="tracker:5052", failure=TrackerError)
    try:
        yield client, dialer
    finally:
        await client.aclose()


async def test_calls_share_one_kept_connection() -> None:
    async with serving(answer) as running, open_client(running.memory) as (client, dialer):
        for body in (b"", b"abc", b"x" * 900):
            got = await client.request(
                "POST", "/echo", [("X", "y")], body, limit_bytes=1000, deadline_seconds=5
            )
            assert (got.status, got.headers.get("x-got"), got.body) == (200, "POST", body)
        assert dialer.count == 1


async def test_calls_at_the_same_time_use_connections_of_their_own() -> None:
    async with serving(answer) as running, open_client(running.memory) as (client, dialer):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(lambda: client.request("GET", "/echo", limit_bytes=10, deadline_seconds=5))
        assert dialer.count == 3


async def test_an_answer_beyond_the_cap_is_refused() -> None:
    async with serving(answer) as running, open_client(running.memory) as (client, _):
        with pytest.raises(TrackerError, match="tracker:5052: an answer of more than 1000 bytes"):
            await client.request("GET", "/long", limit_bytes=1000, deadline_seconds=5)
        assert (await client.request("GET", "/echo", limit_bytes=1000, deadline_seconds=5)).status == 200


async def test_a_silent_server_fails_at_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(answer) as running, open_client(running.memory) as (client, _):
        with pytest.raises(TrackerError, match="no answer within 5 s"):
            await client.request("GET", "/silent", limit_bytes=1000, deadline_seconds=5)


async def test_lines_are_read_as_they_come() -> None:
    async with (
        serving(answer) as running,
        open_client(running.memory) as (client, _),
        client.open_response("GET", "/lines", deadline_seconds=5) as streamed,
    ):
        lines = [await streamed.receive_line(100, 5) for _ in range(5)]
    assert lines == [b"one", b"two", b"", b"last", None]


async def test_a_line_beyond_the_cap_is_refused() -> None:
    async with serving(answer) as running, open_client(running.memory) as (client, _):
        with pytest.raises(TrackerError, match="a line of more than 100 bytes"):
            async with client.open_response("GET", "/long", deadline_seconds=5) as streamed:
                await streamed.receive_line(100, 5)


async def test_nobody_listening_is_a_clear_failure() -> None:
    async def connect() -> trio.abc.Stream:
        return await trio.open_tcp_stream("127.0.0.1", 1)

    client = HttpClient(connect, host="tracker:5052", failure=TrackerError)
    with pytest.raises(TrackerError, match=r"tracker:5052: cannot connect"):
        await client.request("GET", "/", limit_bytes=1000, deadline_seconds=5)


class CuttingServer:
    """Answers the first request of every connection, and cuts at the second one, in the middle of `partial`."""

    def __init__(self, partial: bytes) -> None:
        self._partial = partial
        self._streams: list[trio.abc.Stream] = []
        self.requests = 0

    def connector(self, nursery: trio.Nursery) -> Dialer:
        async def connect() -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(self._serve, theirs)
            return ours

        return Dialer(connect)

    async def _serve(self, stream: trio.abc.Stream) -> None:
        await stream.receive_some(10_000)
        self.requests += 1
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        if await stream.receive_some(10_000):
            self.requests += 1
            await stream.send_all(self._partial)
        await stream.aclose()


async def test_a_stale_kept_connection_costs_a_silent_retry() -> None:
    server = CuttingServer(b"")
    async with trio.open_nursery() as nursery:
        dialer = server.connector(nursery)
        client = HttpClient(dialer, host="tracker", failure=TrackerError)
        for _ in range(3):
            assert (await client.request("GET", "/", limit_bytes=10, deadline_seconds=5)).body == b"ok"
        assert dialer.count == 3
        await client.aclose()


@pytest.mark.parametrize(
    ("method", "partial"),
    [("POST", b""), ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"), ("GET", b"HTTP/1.1 2")],
    ids=["not repeatable", "cut in the body", "cut in the head"],
)
async def test_what_may_have_been_done_is_not_repeated(method: str, partial: bytes) -> None:
    server = CuttingServer(partial)
    async with trio.open_nursery() as nursery:
        dialer = server.connector(nursery)
        client = HttpClient(dialer, host="tracker", failure=TrackerError)
        await client.request(method, "/", limit_bytes=10, deadline_seconds=5)
        with pytest.raises(TrackerError):
            await client.request(method, "/", limit_bytes=10, deadline_seconds=5)
        assert (dialer.count, server.requests) == (1, 2)
        await client.aclose()


async def test_a_call_said_to_be_repeatable_is_repeated() -> None:
    server = CuttingServer(b"")
    async with trio.open_nursery() as nursery:
        dialer = server.connector(nursery)
        client = HttpClient(dialer, host="tracker", failure=TrackerError)
        for _ in range(2):
            await client.request("POST", "/", limit_bytes=10, deadline_seconds=5, idempotent=True)
        assert dialer.count == 2
        await client.aclose()


async def test_a_kept_connection_that_the_server_closed_is_not_used_even_for_what_cannot_be_repeated() -> (
    None
):
    async with serving(answer, HttpLimits(connections=1)) as running:
        dialer = Dialer(partial(trio.open_tcp_stream, "127.0.0.1", running.port))
        client = HttpClient(dialer, host="tracker", failure=TrackerError)
        for _ in range(2):
            await client.request("POST", "/echo", limit_bytes=10, deadline_seconds=5)
            await (await running.connect()).get(
                "/echo"
            )  # the one place: the client's connection, idle, has made room
        assert dialer.count == 2
        await client.aclose()
