"""`OriginTransport`: httpx's way over our own connections: what httpx asks goes out, a head comes back.

The bytes of a body do not go through httpx, which would copy each four times: whoever reads one finds the `Body` in the
response's extensions (httpx, "Request and response extensions") and reads from it into a buffer of its own.
"""

import httpx
import trio

from agent.http.client_connection import ClientConnection, ConnectionFailed
from agent.origin.connections import Connections, Place

BODY = "shoal.body"


class OriginTransport(httpx.AsyncBaseTransport):
    """Raises ConnectionFailed, and SourceError for where it must not connect to."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        place = Place.of(request.url)
        connection = await self._connections.take(place)
        is_done = False
        try:
            await _send(connection, request)
            status, headers = await connection.receive_head()
            is_done = True
        finally:
            if not is_done:
                await connection.aclose()
        body = Body(connection, self._connections, place)
        return httpx.Response(status, headers=headers.raw, stream=body, extensions={BODY: body})

    async def aclose(self) -> None:
        await self._connections.aclose()


async def _send(connection: ClientConnection, request: httpx.Request) -> None:
    """What httpx has in memory goes out with the head."""
    stream = request.stream
    content = request.content if isinstance(stream, httpx.ByteStream) else None
    method, target = request.method, request.url.raw_path.decode("ascii")
    await connection.send_request(method, target, request.headers.raw, content)
    if content is None:
        assert isinstance(stream, httpx.AsyncByteStream)
        try:
            await connection.send_body(stream)
        except ConnectionFailed:
            pass  # a registry that wants no more of it may have said why, before it closed


class Body(httpx.AsyncByteStream):
    """Of one answer. Closed, its connection is kept for the next request where it was read to its end."""

    def __init__(self, connection: ClientConnection, connections: Connections, place: Place) -> None:
        self._connection: ClientConnection | None = connection
        self._connections = connections
        self._place = place

    @property
    def left_bytes(self) -> int | None:
        """What is to come; None where nobody knows."""
        return 0 if self._connection is None else self._connection.left_bytes

    async def receive_into(self, buffer: memoryview) -> int:
        """How many of the next bytes, as sent, are in `buffer`; 0 at the end. Raises ConnectionFailed."""
        return 0 if self._connection is None else await self._connection.receive_into(buffer)

    async def aclose(self) -> None:
        """Waits for nobody."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with trio.CancelScope(shield=True):
                await self._connections.give_back(connection, self._place)
