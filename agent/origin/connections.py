"""`Connections`: connections to registries, or to where they send us, kept for the next request to the same place.

How many are in use at a time is limited by who asks (request.py); who may be connected to is network.py's matter.
"""

import ssl
from dataclasses import dataclass
from typing import Self

import httpx
import trio

from agent.http.client_connection import ClientConnection, ConnectionFailed
from agent.origin.network import Network

_KEPT_SECONDS = 60.0
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """The scheme, host and port of a URL."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: httpx.URL) -> Self:
        return cls(url.scheme, url.host, url.port or _PORTS[url.scheme])


class Connections:
    def __init__(self, network: Network, context: ssl.SSLContext, connect_seconds: float, limit: int) -> None:
        """`limit`: how many are kept."""
        self._network = network
        self._context = context
        self._connect_seconds = connect_seconds
        self._limit = limit
        self._kept: dict[Place, list[ClientConnection]] = {}

    async def take(self, place: Place) -> ClientConnection:
        """The one used last that looks alive, else a new one. Raises ConnectionFailed, SourceError."""
        kept = self._kept.get(place, [])
        while kept:
            connection = kept.pop()
            if trio.current_time() - connection.idle_since < _KEPT_SECONDS and not connection.is_stale():
                return connection
            await connection.aclose()
        return await self._open(place)

    async def give_back(self, connection: ClientConnection, place: Place) -> None:
        """It is closed where it cannot carry another request."""
        if not connection.renew():
            await connection.aclose()
            return
        self._kept.setdefault(place, []).append(connection)
        while sum(map(len, self._kept.values())) > self._limit:
            await self._drop_oldest()

    async def aclose(self) -> None:
        while any(self._kept.values()):
            await self._drop_oldest()

    async def _drop_oldest(self) -> None:
        place = min((place for place, kept in self._kept.items() if kept), key=self._idle_since)
        connection = self._kept[place].pop(0)
        if not self._kept[place]:
            del self._kept[place]
        await connection.aclose()

    def _idle_since(self, place: Place) -> float:
        return self._kept[place][0].idle_since

    async def _open(self, place: Place) -> ClientConnection:
        with trio.move_on_after(self._connect_seconds):
            try:
                stream = await self._network.connect(place.host, place.port)
            except OSError:
                raise ConnectionFailed("no connection", before_answer=True) from None
            return ClientConnection(await self._secured(stream, place))
        raise ConnectionFailed("no answer in time", before_answer=True)

    async def _secured(self, stream: trio.SocketStream, place: Place) -> trio.abc.Stream:
        if place.scheme == "http":
            return stream
        secured = trio.SSLStream(stream, self._context, server_hostname=place.host, https_compatible=True)
        try:
            await secured.do_handshake()
        except (trio.BrokenResourceError, OSError) as error:
            await trio.aclose_forcefully(secured)
            raise ConnectionFailed(_handshake_failure(error), before_answer=True) from None
        except BaseException:
            await trio.aclose_forcefully(secured)
            raise
        return secured


def _handshake_failure(error: BaseException | None) -> str:
    """trio wraps what OpenSSL says in an error of its own."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return "its certificate is not trusted (a private authority is configured by ca_file)"
        if isinstance(error, ssl.SSLError):
            return "it does not speak TLS as expected"
        error = error.__cause__ or error.__context__
    return "the connection broke"
