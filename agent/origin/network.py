"""How connections to registries are opened and read: httpcore's network backend, known here alone.

Three things differ from httpcore's own backend:
- reads are 1 MiB, not httpcore's 64 KiB (its READ_NUM_BYTES): 1.1 instead of 3.6 CPU seconds a GiB. A stream may return
  what it likes, so this needs no patching of httpcore;
- where a registry sends us elsewhere, names are resolved here, each address is judged by address_rule, and the
  connection is made to the address that was judged, so that a name cannot change its mind in between;
- a stream can be broken off, so that an unfinished response ends at once, with every generator of httpx run to its end.
"""

import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import httpcore
import trio

from agent.content.errors import SourceError
from agent.origin.address_rule import AddressKind, kind_of, may_reach

READ_BYTES = 1024 * 1024
_ADDRESS_SECONDS = 4.0

Resolve = Callable[[str, int], Awaitable[list[str]]]


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, in the system's order of preference. Raises OSError."""
    found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(slots=True)
class Whereabouts:
    """At what kind of address a registry was last reached; None before the first connection."""

    kind: AddressKind | None = None
    allow_private: bool = False

    def may_send_to(self, address: str) -> bool:
        return self.allow_private or may_reach(kind_of(address), self.kind)


class OriginStream(httpcore.AsyncNetworkStream):
    """A connection with large reads that can be broken off."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._broken_off = False

    def break_off(self) -> None:
        """Until the next request is written, reading fails at once: what is buffered can still be had."""
        self._broken_off = True

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._broken_off:
            raise httpcore.ReadError("broken off")
        return await self._inner.read(max(max_bytes, READ_BYTES), timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._broken_off = False
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        # httpcore closes under a shield; a TLS goodbye to a peer that does not read must not hold us there.
        with trio.CancelScope() as scope:
            scope.cancel()
            await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return OriginStream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class HomeNetwork(httpcore.AsyncNetworkBackend):
    """Connects to the registry itself, wherever the configuration says it is, and notes where that was."""

    def __init__(self, whereabouts: Whereabouts, resolve: Resolve | None = None) -> None:
        self._whereabouts = whereabouts
        self._resolve = resolve
        self._inner = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        target = host if self._resolve is None else (await _addresses(self._resolve, host, port))[0]
        stream = await self._inner.connect_tcp(target, port, timeout, local_address, socket_options)
        self._whereabouts.kind = kind_of(str(stream.get_extra_info("server_addr")[0]))
        return OriginStream(stream)

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


class AwayNetwork(httpcore.AsyncNetworkBackend):
    """Connects to where the registry sends us: only to addresses that it may send us to."""

    def __init__(self, whereabouts: Whereabouts, resolve: Resolve) -> None:
        self._whereabouts = whereabouts
        self._resolve = resolve
        self._inner = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _addresses(self._resolve, host, port)
        allowed = [address for address in addresses if self._whereabouts.may_send_to(address)]
        if not allowed:
            raise SourceError(f"sends us to {host}, which is at a {kind_of(addresses[0]).value} address")
        limit = _ADDRESS_SECONDS if timeout is None else min(timeout, _ADDRESS_SECONDS)
        for address in allowed[:-1]:
            try:
                return OriginStream(
                    await self._inner.connect_tcp(address, port, limit, local_address, socket_options)
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return OriginStream(
            await self._inner.connect_tcp(allowed[-1], port, timeout, local_address, socket_options)
        )

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


async def _addresses(resolve: Resolve, host: str, port: int) -> list[str]:
    try:
        addresses = await resolve(host, port)
    except OSError as error:
        raise httpcore.ConnectError(f"cannot resolve {host}: {error.strerror or error}") from None
    if not addresses:
        raise httpcore.ConnectError(f"{host} has no address")
    return addresses
