"""What a client gets from the server: framing, keep-alive, refusals. Over real sockets on loopback."""

import errno
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio
import trio.testing

from agent.content.errors import DiskError, NotFound
from agent.http.limits import HttpLimits
from agent.http.request import Request
from agent.http.response import BodySink, Handler, Response
from agent.http.server import serve_http
from tests.fakes.http_peer import HttpPeer, MemoryListener, serving


async def echo(request: Request) -> Response:
    body = await request.read_body(100_000)
    return Response(
        200, [("X-Method", request.method), ("X-Path", request.path), ("X-Query", request.query)], body
    )


@pytest.fixture
async def echoing() -> AsyncIterator[HttpPeer]:
    async with serving(echo) as running:
        yield await running.connect()


class FileBody:
    """`length` of None is sent chunked."""

    def __init__(self, path: Path, length: int | None, sends: int | None = None) -> None:
        self.path = path
        self.length = length
        self._sends = path.stat().st_size if sends is None else sends

    async def send_to(self, sink: BodySink) -> None:
        fd = os.open(self.path, os.O_RDONLY)
        try:
            await sink.send_file(fd, 0, self._sends)
        finally:
            os.close(fd)


class PieceBody:
    def __init__(self, *pieces: bytes | Exception, length: int | None = None) -> None:
        self._pieces = pieces
        self.length = length

    async def send_to(self, sink: BodySink) -> None:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            await sink.send(piece)


def always(response: Response) -> Handler:
    async def handle(request: Request) -> Response:
        return response

    return handle


async def test_a_request_reaches_the_handler_raw_and_its_answer_comes_back(echoing: HttpPeer) -> None:
    answer = await echoing.get("/a%2Fb?x=%20y")
    assert answer.status == 200
    assert (answer.header("x-path"), answer.header("x-query")) == ("/a%2Fb", "x=%20y")
    assert answer.header("content-length") == "0"
    assert answer.header("date")


async def test_a_connection_carries_many_requests(echoing: HttpPeer) -> None:
    for n in range(5):
        assert (await echoing.get(f"/{n}")).header("x-path") == f"/{n}"


async def test_pipelined_requests_are_answered_in_order(echoing: HttpPeer) -> None:
    request = "POST /{} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab{}"
    await echoing.send("".join(request.format(n, n) for n in range(9)).encode())
    answers = [await echoing.receive("POST") for _ in range(9)]
    assert [(a.header("x-path"), a.body) for a in answers] == [(f"/{n}", f"ab{n}".encode()) for n in range(9)]


async def test_the_absolute_form_of_a_target_is_understood(echoing: HttpPeer) -> None:
    assert (await echoing.get("http://elsewhere:80/p?q")).header("x-path") == "/p"


async def test_a_target_that_is_no_path_is_refused(echoing: HttpPeer) -> None:
    assert (await echoing.get("nonsense")).status == 400


async def test_head_gets_the_headers_of_get_and_no_body(echoing: HttpPeer) -> None:
    async with serving(always(Response(200, [], b"12345"))) as running:
        client = await running.connect()
        for _ in range(2):
            answer = await client.get("/", method="HEAD")
            assert (answer.header("content-length"), answer.body) == ("5", b"")


async def test_head_of_a_failure_has_no_body_either() -> None:
    async with serving(always(Response(200, [], PieceBody(NotFound("gone"), length=5)))) as running:
        client = await running.connect()
        await client.send_request("/", method="GET")
        assert (await client.receive()).status == 404
        async with serving(failing) as broken:
            other = await broken.connect()
            await other.send_request("/", "Connection: close", method="HEAD")
            head = await other.receive_head()
            assert "404" in head
            assert await other.receive_rest() == b""


async def failing(request: Request) -> Response:
    raise NotFound("no such thing")


async def test_an_unsent_204_or_304_has_no_body_and_keeps_the_connection() -> None:
    async with serving(always(Response(304, [("ETag", '"x"')], b"ignored"))) as running:
        client = await running.connect()
        for _ in range(2):
            assert (await client.get("/")).status == 304


async def test_a_client_that_expects_100_gets_it_once_the_body_is_wanted(echoing: HttpPeer) -> None:
    await echoing.send_request("/", "Content-Length: 5", "Expect: 100-continue", method="PUT")
    assert "100 Continue" in await echoing.receive_head()
    await echoing.send(b"12345")
    assert (await echoing.receive("PUT")).body == b"12345"


async def test_without_interest_in_the_body_no_100_is_sent_and_the_connection_ends() -> None:
    async with serving(always(Response(403, [], b"no"))) as running:
        client = await running.connect()
        await client.send_request("/", "Content-Length: 5", "Expect: 100-continue", method="PUT")
        answer = await client.receive("PUT")
        assert (answer.status, answer.header("connection")) == (403, "close")
        assert await client.is_closed()


async def test_a_small_unread_body_does_not_cost_the_connection() -> None:
    async with serving(always(Response(200, [], b"ok"))) as running:
        client = await running.connect()
        for _ in range(3):
            await client.send_request("/", "Content-Length: 5", method="POST")
            await client.send(b"12345")
            assert (await client.receive("POST")).body == b"ok"


async def test_a_large_unread_body_does_not_destroy_the_answer() -> None:
    async with serving(always(Response(413, [], b"too much"))) as running:
        client = await running.connect()
        await client.send_request("/", "Content-Length: 400000", method="POST")
        await client.send(bytes(300_000))
        assert (await client.receive("POST")).body == b"too much"


async def test_a_body_beyond_the_cap_is_413(echoing: HttpPeer) -> None:
    await echoing.send_request("/", "Content-Length: 100001", method="POST")
    assert (await echoing.receive("POST")).status == 413


async def test_a_chunked_body_beyond_the_cap_is_413(echoing: HttpPeer) -> None:
    await echoing.send_request("/", "Transfer-Encoding: chunked", method="POST")
    await echoing.send(b"20000\r\n" + bytes(0x20000))
    assert (await echoing.receive("POST")).status == 413


async def test_a_chunked_body_arrives_whole(echoing: HttpPeer) -> None:
    await echoing.send_request("/", "Transfer-Encoding: chunked", method="PATCH")
    await echoing.send(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert (await echoing.receive("PATCH")).body == b"abcde"


async def test_a_header_beyond_the_cap_is_431(echoing: HttpPeer) -> None:
    await echoing.send(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000)
    assert (await echoing.receive()).status == 431
    assert await echoing.is_closed()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"not http at all\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
    ids=["no host", "no http", "two hosts", "space in a name", "negative length", "two lengths", "TLS"],
)
async def test_what_is_no_valid_request_is_400_and_the_end(echoing: HttpPeer, request_bytes: bytes) -> None:
    await echoing.send(request_bytes)
    assert (await echoing.receive()).status == 400
    assert await echoing.is_closed()


@pytest.mark.parametrize(
    "fields",
    [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Content-Length: 4, 5",
        "Content-Length: +4",
    ],
)
async def test_a_smuggled_request_is_never_answered(echoing: HttpPeer, fields: str) -> None:
    body = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    await echoing.send(f"POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{body}".encode())
    rest = await echoing.receive_rest()
    assert rest.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert rest.count(b"HTTP/1.1") == 1


async def test_http_1_0_gets_an_answer_that_ends_with_the_connection(echoing: HttpPeer) -> None:
    await echoing.send(b"GET /old HTTP/1.0\r\n\r\n")
    rest = await echoing.receive_rest()
    assert b"X-Path: /old" in rest
    assert b"Connection: close" in rest


async def test_a_body_of_unknown_length_goes_out_chunked(tmp_path: Path) -> None:
    content = os.urandom(200_000)
    (tmp_path / "f").write_bytes(content)
    async with serving(always(Response(200, [], FileBody(tmp_path / "f", None)))) as running:
        client = await running.connect()
        for _ in range(2):
            answer = await client.get("/")
            assert answer.header("transfer-encoding") == "chunked"
            assert answer.body == content


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 9_000_000])
async def test_a_file_arrives_as_it_is_over_a_socket_and_over_any_stream(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)
    async with serving(always(Response(200, [], FileBody(tmp_path / "f", size)))) as running:
        for client in [await running.connect(), running.memory.connect()]:
            answer = await client.get("/")
            assert answer.header("content-length") == str(size)
            assert answer.body == content


@pytest.mark.parametrize("size", [10, 100_000])
async def test_a_file_shorter_than_promised_breaks_the_connection_off(tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(bytes(size))
    async with serving(
        always(Response(200, [], FileBody(tmp_path / "f", size + 1, sends=size + 1)))
    ) as running:
        client = await running.connect()
        await client.send_request("/")
        if size == 10:  # nothing had left yet: the end of the file shows while the head still waits
            head = await client.receive_head()
            assert "200" in head
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_rest()


async def test_a_known_failure_before_the_first_byte_is_an_answer() -> None:
    async with serving(failing) as running:
        client = await running.connect()
        for _ in range(2):
            answer = await client.get("/")
            assert (answer.status, answer.body) == (404, b"no such thing\n")


async def test_a_known_failure_of_a_body_that_has_sent_nothing_is_an_answer() -> None:
    body = PieceBody(DiskError("disk full"), length=10)
    async with serving(
        always(Response(200, [], body)), on_failure=lambda error: Response(507, [], str(error).encode())
    ) as running:
        answer = await (await running.connect()).get("/")
        assert (answer.status, answer.body) == (507, b"disk full")


@pytest.mark.parametrize("length", [10, None])
@pytest.mark.parametrize("end", [DiskError("disk full"), ValueError("bug")])
async def test_a_failure_in_the_middle_resets_the_connection(length: int | None, end: Exception) -> None:
    async with serving(always(Response(200, [], PieceBody(b"12345", end, length=length)))) as running:
        client = await running.connect()
        await client.send_request("/")
        assert "200" in await client.receive_head()
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_rest()


@pytest.mark.parametrize("pieces", [(b"123",), (b"123456789012",)], ids=["too little", "too much"])
async def test_a_body_that_breaks_its_promise_is_never_completed(pieces: tuple[bytes, ...]) -> None:
    async with serving(always(Response(200, [], PieceBody(*pieces, length=10)))) as running:
        client = await running.connect()
        await client.send_request("/")
        try:
            rest = await client.receive_rest()
        except trio.BrokenResourceError:
            return
        assert rest.startswith(b"HTTP/1.1 500 ")  # nothing had left yet


async def test_a_bug_is_a_500_that_tells_the_client_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def buggy(request: Request) -> Response:
        raise ValueError("the secret")

    async with serving(buggy) as running:
        client = await running.connect()
        for _ in range(2):
            answer = await client.get("/page?token=x")
            assert answer.status == 500
            assert b"secret" not in answer.body
            assert b"Traceback" not in answer.body
    assert "token" not in caplog.text
    records = [record for record in caplog.records if record.name == "shoal.http"]
    assert [record.levelno for record in records] == [logging.ERROR] * 2


async def test_a_header_with_a_line_break_is_never_sent() -> None:
    async with serving(always(Response(200, [("X", "a\r\nInjected: 1")], b""))) as running:
        client = await running.connect()
        await client.send_request("/")
        rest = await client.receive_rest()
        assert rest.startswith(b"HTTP/1.1 500 ")
        assert b"Injected" not in rest


async def test_connections_beyond_the_limit_wait_for_a_free_one() -> None:
    async with serving(echo, HttpLimits(connections=2)) as running:
        busy = [await running.connect() for _ in range(2)]
        for client in busy:
            await client.send(b"GET / HTTP/1.1\r\n")  # begun, so it is not idle
        await trio.testing.wait_all_tasks_blocked(0.01)
        third = await running.connect()
        await third.send_request("/third")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert running.server.connection_count == 2
        await busy[0].stream.aclose()
        assert (await third.receive()).header("x-path") == "/third"


async def test_at_the_limit_an_idle_connection_makes_room() -> None:
    async with serving(echo, HttpLimits(connections=1)) as running:
        first = await running.connect()
        await first.get("/first")
        second = await running.connect()
        assert (await second.get("/second")).header("x-path") == "/second"
        assert await first.is_closed()


class ExhaustedListener(MemoryListener):
    """Has no descriptor left for its first connection, and for a while."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    async def accept(self) -> trio.abc.Stream:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return await super().accept()


async def test_a_process_out_of_descriptors_accepts_again_once_it_can(
    autojump_clock: trio.testing.MockClock,
) -> None:
    listener = ExhaustedListener(3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_http, echo, [listener])
        assert (await listener.connect().get("/later")).header("x-path") == "/later"
        assert listener.refusals == 0
        nursery.cancel_scope.cancel()


async def test_a_resource_that_fails_to_close_costs_its_connection_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handle(request: Request) -> Response:
        resources = AsyncExitStack()
        if request.path == "/bad":
            resources.callback(lambda: 1 // 0)
        return Response(200, [], b"ok", resources=resources)

    async with serving(handle) as running:
        bad, good = await running.connect(), await running.connect()
        assert (await bad.get("/bad")).status == 200
        assert await bad.is_closed()
        assert (await good.get("/")).status == 200
    assert "a connection ended unexpectedly" in caplog.text
