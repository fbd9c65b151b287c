"""Listeners of an address of the configuration. Port 0 takes a free one; `bound_port` tells which."""

import errno
import os

import trio

from agent.content.errors import DiskError
from agent.http.port_holder import holder_of_port
from agent.http.unix_listener import open_unix_listener
from agent.settings.address import Address, TcpAddress, UnixAddress

_BACKLOG = 1024


async def open_listeners(address: Address) -> list[trio.abc.Listener[trio.SocketStream]]:
    """Every listener of the address (a name may have several). Raises DiskError where it is taken or not ours."""
    if isinstance(address, UnixAddress):
        return [await open_unix_listener(address.path)]
    try:
        return list(await trio.open_tcp_listeners(address.port, host=address.host, backlog=_BACKLOG))
    except OSError as error:
        raise listen_failure(address, error) from None


def listen_failure(address: TcpAddress, error: OSError) -> DiskError:
    """Why it cannot be listened on, and who has it, where that is to be seen."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    holder = holder_of_port(address.port) if error.errno == errno.EADDRINUSE else None
    held = f" ({holder})" if holder else ""
    return DiskError(f"cannot listen on {address}: {reason}{held}")


def bound_port(listener: trio.abc.Listener[trio.SocketStream]) -> int:
    """The port of a TCP listener of `open_listeners`."""
    assert isinstance(listener, trio.SocketListener)
    port: int = listener.socket.getsockname()[1]
    return port
