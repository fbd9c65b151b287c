"""How connections to registries are opened: whose address may be connected to.

Where a registry sends us elsewhere, names are resolved here, each address is judged by address_rule, and the
connection is made to the address that was judged, so that a name cannot change its mind in between.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import trio

from agent.content.errors import SourceError
from agent.origin.address_rule import AddressKind, kind_of, may_reach

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


class Network(Protocol):
    async def connect(self, host: str, port: int) -> trio.SocketStream:
        """Raises OSError; SourceError where it must not be connected to."""
        ...


class HomeNetwork:
    """Connects to the registry itself, wherever the configuration says it is, and notes where that was."""

    def __init__(self, whereabouts: Whereabouts, resolve: Resolve | None = None) -> None:
        self._whereabouts = whereabouts
        self._resolve = resolve

    async def connect(self, host: str, port: int) -> trio.SocketStream:
        target = host if self._resolve is None else (await _addresses(self._resolve, host, port))[0]
        stream = await trio.open_tcp_stream(target, port)
        self._whereabouts.kind = kind_of(str(stream.socket.getpeername()[0]))
        return stream


class AwayNetwork:
    """Connects to where the registry sends us: only to addresses that it may send us to."""

    def __init__(self, whereabouts: Whereabouts, resolve: Resolve) -> None:
        self._whereabouts = whereabouts
        self._resolve = resolve

    async def connect(self, host: str, port: int) -> trio.SocketStream:
        addresses = await _addresses(self._resolve, host, port)
        allowed = [address for address in addresses if self._whereabouts.may_send_to(address)]
        if not allowed:
            raise SourceError(f"sends us to {host}, which is at a {kind_of(addresses[0]).value} address")
        for address in allowed[:-1]:
            with trio.move_on_after(_ADDRESS_SECONDS):
                try:
                    return await trio.open_tcp_stream(address, port)
                except OSError:
                    continue
        return await trio.open_tcp_stream(allowed[-1], port)


async def _addresses(resolve: Resolve, host: str, port: int) -> list[str]:
    addresses = await resolve(host, port)
    if not addresses:
        raise OSError(f"{host} has no address")
    return addresses
