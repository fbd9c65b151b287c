"""One HTTP/1.1 connection of the fake registry: h11 on a trio stream, nothing of Shoal's own server in it."""

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import h11
import trio

_RECEIVE_BYTES = 256 * 1024


class Cut(Exception):
    """Close the connection without finishing the response."""


@dataclass
class Incoming:
    """A request; its body is read with `receive_body`."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    client: tuple[str, int]
    connection: "Connection"

    async def receive_body(self) -> bytes:
        """The next piece of the body, b"" at its end."""
        return await self.connection.receive_body()

    async def read_body(self) -> bytes:
        parts = []
        while piece := await self.receive_body():
            parts.append(piece)
        return b"".join(parts)


@dataclass
class Outgoing:
    """A response. `length` None: chunked. `pieces` may be longer than `length` only where the sender cuts."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    length: int | None = 0
    pieces: Iterator[bytes] = field(default_factory=lambda: iter(()))


def json_answer(status: int, value: object) -> Outgoing:
    body = json.dumps(value).encode()
    return Outgoing(status, [("content-type", "application/json")], len(body), iter([body]))


def error_answer(status: int, code: str) -> Outgoing:
    """As the distribution specification's errors look."""
    return json_answer(status, {"errors": [{"code": code, "message": code.lower(), "detail": None}]})


Respond = Callable[[Incoming], Awaitable[Outgoing]]


class Connection:
    def __init__(self, stream: trio.abc.Stream, client: tuple[str, int]) -> None:
        self.stream = stream
        self.client = client
        self._h11 = h11.Connection(h11.SERVER)

    async def serve(
        self, respond: Respond, send: Callable[["Connection", Incoming, Outgoing], Awaitable[None]]
    ) -> None:
        try:
            while True:
                event = await self._next_event()
                if not isinstance(event, h11.Request):
                    return
                request = self._incoming(event)
                await send(self, request, await respond(request))
                while self._h11.their_state is h11.SEND_BODY:
                    await self._next_event()
                if self._h11.our_state is h11.MUST_CLOSE or self._h11.their_state is not h11.DONE:
                    return
                self._h11.start_next_cycle()
        except (Cut, trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
            pass
        finally:
            await trio.aclose_forcefully(self.stream)

    def _incoming(self, event: h11.Request) -> Incoming:
        path, _, query = event.target.decode("latin-1").partition("?")
        headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
        return Incoming(event.method.decode(), path, query, headers, self.client, self)

    async def receive_body(self) -> bytes:
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Data):
                if event.data:
                    return bytes(event.data)
            else:
                return b""

    async def send_head(self, outgoing: Outgoing) -> None:
        headers = list(outgoing.headers)
        if outgoing.length is not None:
            headers.append(("content-length", str(outgoing.length)))
        elif outgoing.status != 204:
            headers.append(("transfer-encoding", "chunked"))
        await self._send(h11.Response(status_code=outgoing.status, headers=headers))

    async def send_piece(self, data: bytes) -> None:
        await self._send(h11.Data(data=data))

    async def send_end(self) -> None:
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        data = self._h11.send(event)
        if data:
            await self.stream.send_all(data)

    async def _next_event(self) -> object:
        while True:
            event = self._h11.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._h11.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._h11.receive_data(bytes(await self.stream.receive_some(_RECEIVE_BYTES)))
