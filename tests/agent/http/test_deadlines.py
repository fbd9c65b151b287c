"""How long a silent client is waited for; the clock is moved, the streams are in memory."""

import trio
import trio.testing

from agent.http.limits import HttpLimits
from agent.http.request import Request
from agent.http.response import Response
from tests.fakes.http_peer import serving

LIMITS = HttpLimits(header_seconds=20, idle_seconds=120, body_seconds=60)


async def read_all(request: Request) -> Response:
    return Response(200, [], await request.read_body(1000))


async def test_an_idle_connection_is_closed_without_a_word(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(read_all, LIMITS) as running:
        client = running.memory.connect()
        await client.get("/")
        began = trio.current_time()
        assert await client.receive_rest() == b""
        assert trio.current_time() - began == 120


async def test_a_header_that_trickles_in_too_slowly_is_408(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(read_all, LIMITS) as running:
        client = running.memory.connect()
        await trio.sleep(100)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_trickle, client.stream)
            answer = await client.receive()
            assert answer.status == 408
            assert trio.current_time() - began == 20
            nursery.cancel_scope.cancel()


async def _trickle(stream: trio.abc.SendStream) -> None:
    await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n")
    while True:
        await trio.sleep(3)
        await stream.send_all(b"X: y\r\n")


async def test_a_header_in_two_pieces_in_time_is_answered(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(read_all, LIMITS) as running:
        client = running.memory.connect()
        for _ in range(3):
            await trio.sleep(110)
            await client.send(b"GET / HTTP/1.1\r\nHost:")
            await trio.sleep(19)
            await client.send(b" x\r\n\r\n")
            assert (await client.receive()).status == 200


async def test_a_body_that_stops_is_400_and_the_end(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(read_all, LIMITS) as running:
        client = running.memory.connect()
        await client.send_request("/", "Content-Length: 10", method="POST")
        await trio.sleep(50)
        await client.send(b"123")
        began = trio.current_time()
        answer = await client.receive("POST")
        assert (answer.status, answer.header("connection")) == (400, "close")
        assert trio.current_time() - began == 60
        assert await client.is_closed()
