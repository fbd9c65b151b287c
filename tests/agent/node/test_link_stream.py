"""What waits for more than the first bytes gets what there is, in time, and all of it."""

import fcntl
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
import trio.testing

from agent.node.link_stream import UNSENT_BYTES, SocketLinkStream

_SIOCOUTQNSD = 0x894B  # linux/sockios.h: bytes in the socket that are not on their way yet
_MIB = 1024 * 1024


@asynccontextmanager
async def open_pair() -> AsyncIterator[tuple[SocketLinkStream, trio.SocketStream]]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        other = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        async with other, await listener.accept() as mine:
            yield SocketLinkStream(mine), other


async def test_fewer_bytes_than_are_waited_for_come_when_somebody_looks() -> None:
    async with open_pair() as (stream, other):
        await other.send_all(b"slow")
        received = []

        async def receive() -> None:
            received.append(await stream.receive_into(memoryview(bytearray(100_000)), 100_000))

        with trio.fail_after(2):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive)
                await trio.testing.wait_all_tasks_blocked(0.05)
                assert received == []
                stream.look()
        assert received == [4]


async def test_the_next_frame_wakes_up_at_its_first_byte() -> None:
    async with open_pair() as (stream, other):
        buffer = memoryview(bytearray(100_000))
        await other.send_all(b"x" * 60_000)
        received = 0
        while received < 60_000:
            received += await stream.receive_into(buffer, 60_000 - received)
        await other.send_all(b"y")
        with trio.fail_after(2):
            assert await stream.receive_into(buffer) == 1


async def test_the_end_is_noticed_while_more_is_waited_for() -> None:
    async with open_pair() as (stream, other):
        other.socket.shutdown(socket.SHUT_WR)
        with trio.fail_after(2):
            assert await stream.receive_into(memoryview(bytearray(10)), 10) == 0


async def test_a_frame_waits_behind_few_bytes_of_a_chunk(tmp_path: Path) -> None:
    """However much the socket could hold: on a slow line a MiB of it is most of a second."""
    content = tmp_path / "content"
    content.write_bytes(bytes(16 * _MIB))
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, await trio.testing.open_stream_to_socket_listener(listener):
        mine = await listener.accept()
        async with mine, trio.open_nursery() as nursery:
            with content.open("rb") as file:
                nursery.start_soon(SocketLinkStream(mine).send_file, file.fileno(), 0, 16 * _MIB)
                await trio.testing.wait_all_tasks_blocked(0.05)
                unsent = fcntl.ioctl(mine.socket.fileno(), _SIOCOUTQNSD, bytes(4))
                nursery.cancel_scope.cancel()
    assert 0 < int.from_bytes(unsent, "little") <= 2 * UNSENT_BYTES
