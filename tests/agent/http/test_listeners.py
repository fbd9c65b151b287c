"""Where the server listens: TCP addresses and unix sockets."""

import os
import socket
import stat
from pathlib import Path

import pytest
import trio

from agent.content.errors import DiskError
from agent.http.listeners import bound_port, open_listeners
from agent.http.request import Request
from agent.http.response import Response
from agent.http.server import serve_http
from agent.http.unix_listener import UnixListener, open_unix_listener
from agent.settings.address import TcpAddress, UnixAddress
from tests.fakes.http_peer import HttpPeer


async def test_a_taken_port_is_a_clear_error() -> None:
    [listener] = await open_listeners(TcpAddress("127.0.0.1", 0))
    async with listener:
        port = bound_port(listener)
        with pytest.raises(DiskError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            await open_listeners(TcpAddress("127.0.0.1", port))


async def test_a_unix_socket_is_this_users_alone_and_goes_with_its_listener(tmp_path: Path) -> None:
    path = tmp_path / "s"
    [listener] = await open_listeners(UnixAddress(path))
    async with listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


async def test_requests_over_a_unix_socket_are_answered_and_know_where_they_come_from(tmp_path: Path) -> None:
    async def handle(request: Request) -> Response:
        return Response(200, [], request.peer.kind.encode())

    listener = await open_unix_listener(tmp_path / "s")
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: serve_http(handle, [listener], task_status=task_status))
        async with await trio.open_unix_socket(tmp_path / "s") as stream:
            assert (await HttpPeer(stream).get("/")).body == b"unix"
        nursery.cancel_scope.cancel()


async def test_a_second_daemon_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with await open_unix_listener(path):
        with pytest.raises(DiskError, match="another daemon listens"):
            await open_unix_listener(path)
        async with await trio.open_unix_socket(path):
            pass


async def test_a_socket_left_behind_by_a_killed_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
    async with await open_unix_listener(path) as listener:
        assert isinstance(listener, UnixListener)
        async with await trio.open_unix_socket(path):
            pass


async def test_a_socket_that_somebody_else_listens_on_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(os.fspath(path))
        foreign.listen(1)
        with pytest.raises(DiskError, match="another program listens"):
            await open_unix_listener(path)
    assert path.exists()


async def test_a_file_that_is_no_socket_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(DiskError, match="no socket"):
        await open_unix_listener(path)
    assert path.read_text() == "data"


async def test_a_missing_directory_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="No such file"):
        await open_unix_listener(tmp_path / "no" / "s")
