"""One connection of a client: bodies of every framing, into the reader's buffer, and whether it carries another one."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing

from agent.http.client_connection import ClientConnection, ConnectionFailed

OK = b"HTTP/1.1 200 OK\r\n"
BODY = bytes(range(256)) * 1000
DECLARED = b"Content-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


@asynccontextmanager
async def answered(answer: bytes, *, over_socket: bool = True) -> AsyncIterator[ClientConnection]:
    """A connection to a server that answers the first request so, and closes."""

    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        with suppress(trio.BrokenResourceError):  # a client that has read enough hangs up
            await stream.send_all(answer)
            await stream.send_eof()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        stream: trio.abc.Stream = await trio.testing.open_stream_to_socket_listener(listeners[0])
        connection = ClientConnection(stream if over_socket else trio.StapledStream(stream, stream))
        try:
            yield connection
        finally:
            await connection.aclose()
            nursery.cancel_scope.cancel()


async def ask(connection: ClientConnection, method: str = "GET") -> int:
    await connection.send_request(method, "/", [("host", "a")], b"")
    return (await connection.receive_head())[0]


async def read(connection: ClientConnection, buffer_bytes: int = 100_000) -> bytes:
    buffer, body = memoryview(bytearray(buffer_bytes)), b""
    while count := await connection.receive_into(buffer):
        body += buffer[:count]
    return body


@pytest.mark.parametrize("over_socket", [True, False])
@pytest.mark.parametrize(
    ("answer", "carries_more"),
    [
        (OK + DECLARED + BODY, True),
        (OK + CHUNKED, True),
        (OK + b"\r\n" + BODY, False),
        (OK + b"Connection: close\r\n" + DECLARED + BODY, False),
        (b"HTTP/1.0 200 OK\r\n" + DECLARED + BODY, False),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK + DECLARED + BODY, True),
        (OK + DECLARED + BODY + b"more", False),
    ],
)
async def test_a_body_is_read_to_its_end_however_that_is_told(
    answer: bytes, carries_more: bool, over_socket: bool
) -> None:
    async with answered(answer, over_socket=over_socket) as connection:
        assert await ask(connection) == 200
        assert await read(connection) == BODY
        assert not await connection.receive_into(memoryview(bytearray(1)))
        # What came beyond the body and was not read with it shows as something to read.
        assert (connection.renew() and not answer.endswith(b"more")) == carries_more


async def test_a_buffer_may_be_of_any_size() -> None:
    async with answered(OK + DECLARED + BODY) as connection:
        await ask(connection)
        assert connection.left_bytes == len(BODY)
        assert await read(connection, 1009) == BODY
        assert connection.left_bytes == 0


@pytest.mark.parametrize("answer", [OK + DECLARED + BODY[:-1], OK + CHUNKED[:-8], OK + DECLARED])
async def test_a_body_that_ends_early_is_a_failure(answer: bytes) -> None:
    async with answered(answer) as connection:
        await ask(connection)
        with pytest.raises(ConnectionFailed):
            await read(connection)
        assert not connection.renew()


async def test_an_answer_without_a_body_has_none_whatever_its_head_says() -> None:
    async with answered(OK + DECLARED) as connection:
        await ask(connection, "HEAD")
        assert await read(connection) == b""
        assert connection.renew()


async def test_a_connection_with_a_body_unread_carries_nothing_more() -> None:
    async with answered(OK + DECLARED + BODY) as connection:
        await ask(connection)
        assert await connection.receive_into(memoryview(bytearray(10))) == 10
        assert not connection.renew()


async def test_a_request_that_no_server_would_take_is_not_sent() -> None:
    async with answered(OK) as connection:
        for headers in ([("host", "a"), ("x", "a\nb")], [("host", "a"), ("x", "\N{SNOWMAN}")]):
            with pytest.raises(ConnectionFailed, match="characters that no request may have"):
                await connection.send_request("GET", "/", headers, b"")


def pieces() -> Iterator[bytes]:
    yield from (b"one", b"two")


class Pieces:
    def __init__(self) -> None:
        self._pieces = pieces()

    def __aiter__(self) -> "Pieces":
        return self

    async def __anext__(self) -> bytes:
        try:
            return next(self._pieces)
        except StopIteration:
            raise StopAsyncIteration from None


async def test_a_body_that_follows_goes_out_piece_by_piece() -> None:
    received = b""

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal received
        while not received.endswith(b"onetwo"):
            received += await stream.receive_some()
        await stream.send_all(OK + b"Content-Length: 0\r\n\r\n")

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        connection = ClientConnection(await trio.testing.open_stream_to_socket_listener(listeners[0]))
        await connection.send_request("PUT", "/", [("host", "a"), ("content-length", "6")], None)
        await connection.send_body(Pieces())
        assert (await connection.receive_head())[0] == 200
        assert connection.renew()
        await connection.aclose()
        nursery.cancel_scope.cancel()
