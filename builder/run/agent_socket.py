"""`AgentSocket`: the socket of an ssh mount, with the mode and owner that the RUN asks for, and what serves it."""

import contextlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import trio

from builder.run.ssh_agent import (
    FAILURE,
    LENGTH_BYTES,
    MOST_MESSAGE_BYTES,
    KeyAgent,
    framed,
    is_harmless,
)

_MOST_CONNECTIONS = 32
_BACKLOG = 32


@dataclass(frozen=True, slots=True)
class AgentSocket:
    """agent: keys, or the socket of an agent of this machine."""

    listening: socket.socket
    agent: KeyAgent | Path

    async def serve(self) -> None:
        """Until it is cancelled."""
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(self.listening))
        places = trio.CapacityLimiter(_MOST_CONNECTIONS)
        async with trio.open_nursery() as nursery:
            while True:
                stream = await listener.accept()
                nursery.start_soon(self._serve_one, stream, places)

    async def _serve_one(self, stream: trio.SocketStream, places: trio.CapacityLimiter) -> None:
        async with places, stream:
            with contextlib.suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                if isinstance(self.agent, KeyAgent):
                    while (message := await _receive(stream)) is not None:
                        await stream.send_all(framed(self.agent.answer(message)))
                else:
                    async with await trio.open_unix_socket(self.agent) as theirs:
                        await _forward(stream, theirs)

    def close(self) -> None:
        self.listening.close()


def open_agent_socket(path: Path, agent: KeyAgent | Path, mode: int, uid: int, gid: int) -> AgentSocket:
    """At `path`, which may be longer than a socket's address can be."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listening.bind(f"/proc/self/fd/{directory}/{path.name}")
        os.chown(path, uid, gid)
        path.chmod(mode)
        listening.listen(_BACKLOG)
    except BaseException:
        listening.close()
        raise
    finally:
        os.close(directory)
    return AgentSocket(listening, agent)


async def _forward(asking: trio.SocketStream, agent: trio.SocketStream) -> None:
    while (message := await _receive(asking)) is not None:
        answer: bytes | None = FAILURE
        if is_harmless(message):
            await agent.send_all(framed(message))
            answer = await _receive(agent)
        if answer is None:
            return
        await asking.send_all(framed(answer))


async def _receive(stream: trio.SocketStream) -> bytes | None:
    """One message; None at the end, and for one that is larger than any real one."""
    length = await _receive_exactly(stream, LENGTH_BYTES)
    if length is None or int.from_bytes(length) > MOST_MESSAGE_BYTES:
        return None
    return await _receive_exactly(stream, int.from_bytes(length))


async def _receive_exactly(stream: trio.SocketStream, count: int) -> bytes | None:
    content = bytearray()
    while len(content) < count:
        piece = await stream.receive_some(count - len(content))
        if not piece:
            return None
        content += piece
    return bytes(content)
