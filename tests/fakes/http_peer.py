"""The other side of our HTTP server in tests: `HttpPeer` sends raw bytes and reads answers; `serving` runs a server.

`MemoryListener` accepts connections without a network, for tests that move the clock.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11
import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair

from agent.http.limits import HttpLimits
from agent.http.listeners import bound_port, open_listeners
from agent.http.response import FailureMapping, Handler, plain_failure
from agent.http.server import HttpServer, serve_http
from agent.settings.address import TcpAddress


@dataclass(frozen=True, slots=True)
class Received:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for field, value in self.headers if field == name.lower()), None)


class HttpPeer:
    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._unread = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def get(self, target: str, *fields: str, method: str = "GET") -> Received:
        await self.send_request(target, *fields, method=method)
        return await self.receive(method)

    async def send_request(self, target: str, *fields: str, method: str = "GET") -> None:
        lines = [f"{method} {target} HTTP/1.1", "Host: mirror", *fields, "", ""]
        await self.send("\r\n".join(lines).encode())

    async def receive(self, method: str = "GET") -> Received:
        """One answer. Raises h11.RemoteProtocolError or trio.BrokenResourceError where it is cut."""
        protocol = h11.Connection(h11.CLIENT)
        protocol.send(h11.Request(method=method, target="/", headers=[("Host", "mirror")]))
        protocol.send(h11.EndOfMessage())
        if self._unread:
            protocol.receive_data(self._unread)
        head: h11.Response | None = None
        body = b""
        while True:
            event = protocol.next_event()
            if event is h11.NEED_DATA:
                protocol.receive_data(bytes(await self.stream.receive_some(65536)))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise h11.RemoteProtocolError("closed without an answer")
        self._unread = protocol.trailing_data[0]
        assert head is not None
        return Received(head.status_code, [(n.decode(), v.decode()) for n, v in head.headers], body)

    async def receive_exactly(self, count: int) -> bytes:
        """Raw bytes, heads included."""
        while len(self._unread) < count:
            piece = await self.stream.receive_some(65536)
            assert piece, "closed too early"
            self._unread += bytes(piece)
        taken, self._unread = self._unread[:count], self._unread[count:]
        return taken

    async def receive_head(self) -> str:
        """The head of an answer whose body may not come yet."""
        while b"\r\n\r\n" not in self._unread:
            piece = await self.stream.receive_some(65536)
            assert piece, "closed before the head"
            self._unread += bytes(piece)
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        return head.decode()

    async def receive_rest(self) -> bytes:
        """Everything up to the close."""
        rest = self._unread
        while piece := await self.stream.receive_some(65536):
            rest += bytes(piece)
        return rest

    async def is_closed(self) -> bool:
        try:
            return not await self.stream.receive_some(1)
        except trio.BrokenResourceError:
            return True


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.abc.Stream](100)

    async def accept(self) -> trio.abc.Stream:
        return await self._receive.receive()

    async def aclose(self) -> None:
        await self._receive.aclose()

    def connect(self, *, lockstep: bool = False) -> HttpPeer:
        """`lockstep`: nothing is buffered; a sender waits until the other side has taken everything."""
        ours, theirs = lockstep_stream_pair() if lockstep else memory_stream_pair()
        self._send.send_nowait(theirs)
        return HttpPeer(ours)


@dataclass(frozen=True, slots=True)
class Serving:
    server: HttpServer
    port: int
    memory: MemoryListener
    peers: list[HttpPeer] = field(default_factory=list)

    async def connect(self) -> HttpPeer:
        """Closed with the server at the latest."""
        peer = HttpPeer(await trio.open_tcp_stream("127.0.0.1", self.port))
        self.peers.append(peer)
        return peer


@asynccontextmanager
async def serving(
    handler: Handler, limits: HttpLimits | None = None, on_failure: FailureMapping = plain_failure
) -> AsyncIterator[Serving]:
    """A server on a loopback port and on a MemoryListener; cancelled at the end."""
    listeners = await open_listeners(TcpAddress("127.0.0.1", 0))
    port = bound_port(listeners[0])
    memory = MemoryListener()

    async def run(task_status: trio.TaskStatus[HttpServer]) -> None:
        await serve_http(
            handler,
            [*listeners, memory],
            on_failure=on_failure,
            limits=limits or HttpLimits(),
            task_status=task_status,
        )

    async with trio.open_nursery() as nursery:
        running = Serving(await nursery.start(run), port, memory)
        try:
            yield running
        finally:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                for peer in running.peers:
                    await trio.aclose_forcefully(peer.stream)
