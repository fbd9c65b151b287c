"""Slow and stalled readers of a plain socket; the clock is moved, the socket is a real one."""

import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from agent.content.errors import DiskError
from agent.http.byte_sender import ConnectionLost
from agent.http.socket_sender import SocketSender

SIZE = 5_000_000
LARGE = 64 * 1024 * 1024


@pytest.fixture
async def pair() -> AsyncIterator[tuple[SocketSender, trio.SocketStream]]:
    ours, theirs = (trio.SocketStream(end) for end in trio.socket.socketpair(socket.AF_UNIX))
    async with ours, theirs:
        yield SocketSender(ours, stall_seconds=60), theirs


@pytest.fixture
async def tcp_pair() -> AsyncIterator[tuple[SocketSender, trio.SocketStream, trio.SocketStream]]:
    """The sender, its stream, and the client's."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        theirs, ours = await trio.testing.open_stream_to_socket_listener(listener), await listener.accept()
    async with theirs, ours:
        yield SocketSender(ours, stall_seconds=60), ours, theirs


@pytest.fixture
def large() -> Iterator[int]:
    """A descriptor of LARGE zeros, more than sockets hold."""
    with tempfile.TemporaryFile() as file:
        file.truncate(LARGE)
        yield file.fileno()


def unsent_limit(stream: trio.SocketStream) -> int:
    value = stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
    assert isinstance(value, int)
    return value


@pytest.fixture
def content(tmp_path: Path) -> Path:
    path = tmp_path / "content"
    path.write_bytes(os.urandom(SIZE))
    return path


async def test_a_reader_that_takes_nothing_is_given_up_after_the_stall_time(
    pair: tuple[SocketSender, trio.SocketStream], autojump_clock: trio.testing.MockClock
) -> None:
    sender, _ = pair
    began = trio.current_time()
    with pytest.raises(ConnectionLost):
        await sender.send([b"head", bytes(SIZE)])
    assert trio.current_time() - began == 60


async def test_a_reader_that_takes_little_but_something_is_never_given_up(
    pair: tuple[SocketSender, trio.SocketStream], content: Path, autojump_clock: trio.testing.MockClock
) -> None:
    sender, reader = pair
    received = bytearray()

    async def read_slowly() -> None:
        while len(received) < SIZE:
            await trio.sleep(50)
            received.extend(await reader.receive_some(100_000))

    fd = os.open(content, os.O_RDONLY)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_slowly)
            await sender.send_file(fd, 0, SIZE)
    finally:
        os.close(fd)
    assert received == content.read_bytes()


async def test_a_reader_that_left_is_noticed(
    pair: tuple[SocketSender, trio.SocketStream], content: Path
) -> None:
    sender, reader = pair
    await reader.aclose()
    with pytest.raises(ConnectionLost):
        await sender.send([b"x"])
    with content.open("rb") as file, pytest.raises(ConnectionLost):
        await sender.send_file(file.fileno(), 0, SIZE)


async def test_a_file_that_ends_early_is_this_machines_fault(
    pair: tuple[SocketSender, trio.SocketStream], content: Path
) -> None:
    sender, _ = pair
    with content.open("rb") as file, pytest.raises(DiskError, match="shorter than it should be"):
        await sender.send_file(file.fileno(), SIZE, 10)


async def test_the_last_bytes_of_a_file_do_not_wait_for_more(
    tcp_pair: tuple[SocketSender, trio.SocketStream, trio.SocketStream], content: Path
) -> None:
    sender, stream, reader = tcp_pair
    with content.open("rb") as file:
        await sender.send_file(file.fileno(), 0, 10_001)
    assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK) == 0
    received = 0
    while received < 10_001:
        received += len(await reader.receive_some())


async def test_nothing_is_held_back_while_there_is_no_room(
    tcp_pair: tuple[SocketSender, trio.SocketStream, trio.SocketStream], large: int
) -> None:
    sender, stream, _ = tcp_pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.send_file, large, 0, LARGE)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK) == 0
        nursery.cancel_scope.cancel()
    assert 0 < sender.file_bytes < LARGE


@pytest.mark.parametrize(("pause_seconds", "becomes_long"), [(1e-6, False), (1, True)])
async def test_a_slow_client_gets_a_long_queue_and_one_that_keeps_up_a_short_one(
    tcp_pair: tuple[SocketSender, trio.SocketStream, trio.SocketStream],
    large: int,
    autojump_clock: trio.testing.MockClock,
    pause_seconds: float,
    becomes_long: bool,
) -> None:
    sender, stream, reader = tcp_pair
    short, received = unsent_limit(stream), 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.send_file, large, 0, LARGE)
        while received < LARGE:
            await trio.sleep(pause_seconds)
            received += len(await reader.receive_some(LARGE))
    assert unsent_limit(stream) == (1024 * 1024 if becomes_long else short)
    assert sender.file_bytes == LARGE


async def test_how_much_a_link_may_hold_does_not_change(
    tcp_pair: tuple[SocketSender, trio.SocketStream, trio.SocketStream],
    large: int,
    autojump_clock: trio.testing.MockClock,
) -> None:
    _, stream, reader = tcp_pair
    sender, received = SocketSender(stream, 60, unsent_bytes=128 * 1024), 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.send_file, large, 0, LARGE)
        while received < LARGE:
            await trio.sleep(1)
            received += len(await reader.receive_some(LARGE))
    assert unsent_limit(stream) == 128 * 1024
