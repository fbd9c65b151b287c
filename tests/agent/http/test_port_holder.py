"""Who holds a port, by /proc."""

import os
import socket
from pathlib import Path

import pytest

from agent.content.errors import DiskError
from agent.http.listeners import open_listeners
from agent.http.port_holder import holder_of_port
from agent.settings.address import TcpAddress


def test_a_listener_of_this_process_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = holder_of_port(listener.getsockname()[1])
    assert held is not None
    assert held.startswith(f"process {os.getpid()}, ")


def test_a_port_that_is_merely_connected_from_is_not_held(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.connect(listener.getsockname())
        assert holder_of_port(client.getsockname()[1]) is None


def test_nothing_is_told_where_there_is_no_proc(tmp_path: Path) -> None:
    assert holder_of_port(80, tmp_path) is None


async def test_a_taken_port_is_told_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(
            DiskError, match=rf"127.0.0.1:{port}: Address already in use \(process {os.getpid()}"
        ):
            await open_listeners(TcpAddress("127.0.0.1", port))
