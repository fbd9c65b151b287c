"""Listeners of an address as people write it: `HOST:PORT`, `[V6]:PORT`, or `unix:/path`.

Port 0 takes a free one; `bound_port` tells which. The unix kind is in unix_listener.
"""

from dataclasses import dataclass
from pathlib import Path

import trio

from agent.content.errors import DiskError, InputError
from agent.http.unix_listener import open_unix_listener

_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class TcpAddress:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> TcpAddress | Path:
    """Raises InputError."""
    if text.startswith("unix:"):
        path = Path(text.removeprefix("unix:"))
        if not path.is_absolute():
            raise InputError(f"invalid address {text[:100]!r}: expected unix:/ABSOLUTE/PATH")
        return path
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    valid = (
        colon and bare and (":" in bare) == bracketed and port.isascii() and port.isdigit() and len(port) <= 5
    )
    if not valid or int(port) > 65535:
        raise InputError(f"invalid address {text[:100]!r}: expected HOST:PORT, [IPV6]:PORT or unix:/PATH")
    return TcpAddress(bare, int(port))


async def open_listeners(address: TcpAddress | Path) -> list[trio.abc.Listener[trio.SocketStream]]:
    """Every listener of the address (a name may have several). Raises DiskError where it is taken or not ours."""
    if isinstance(address, Path):
        return [await open_unix_listener(address)]
    try:
        return list(await trio.open_tcp_listeners(address.port, host=address.host, backlog=_BACKLOG))
    except OSError as error:
        raise DiskError(f"cannot listen on {address}: {error.strerror or error}") from None


def bound_port(listener: trio.abc.Listener[trio.SocketStream]) -> int:
    """The port of a TCP listener of `open_listeners`."""
    assert isinstance(listener, trio.SocketListener)
    port: int = listener.socket.getsockname()[1]
    return port
