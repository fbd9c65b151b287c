"""An agent and its standby process: none before a command comes, one for those that follow, none after the agent."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import DEVNULL, PIPE

import pytest
import trio
import trio.testing

from agent.standby.keeper import Taken, keep_standby, listen
from tests.clients.command import run
from tests.clients.shoal_node import open_shoal

_LAUNCH = (sys.executable, Path(__file__).parents[3] / "shoal_launch.py")


def test_a_socket_is_for_its_user_alone_and_for_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "run" / "standby.sock"
    with listen(path):
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(Taken):
            listen(path)
    with listen(path):  # what a killed one left is no obstacle
        assert path.is_socket()


@pytest.mark.real("namespaces")
def test_a_directory_of_another_user_is_no_place_for_a_socket(tmp_path: Path) -> None:
    os.chown(tmp_path, 4711, -1)
    with pytest.raises(PermissionError):
        listen(tmp_path / "standby.sock")


async def test_without_a_place_for_the_socket_commands_go_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with trio.fail_after(1):
        await keep_standby(tmp_path / "file" / "standby.sock", ["false"])


async def test_who_comes_after_a_server_that_failed_is_sent_away_at_once(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    path = tmp_path / "standby.sock"
    nursery.start_soon(keep_standby, path, ["false"])
    await trio.testing.wait_all_tasks_blocked()
    with trio.fail_after(10):
        for _ in range(5):
            async with await trio.open_unix_socket(path) as stream:
                assert await stream.receive_some(1) == b""


async def test_who_only_looks_starts_no_server(tmp_path: Path, nursery: trio.Nursery) -> None:
    path = tmp_path / "standby.sock"
    nursery.start_soon(keep_standby, path, ["touch", str(tmp_path / "started")])
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(Taken):
        listen(path)
    await trio.testing.wait_all_tasks_blocked(0.01)
    assert not (tmp_path / "started").exists()


async def test_a_place_that_another_one_leaves_is_taken_in_time(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "standby.sock"
    with listen(path):
        nursery.start_soon(keep_standby, path, ["false"])
        await trio.sleep(200)
        assert path.is_socket()
    await trio.sleep(100)
    with pytest.raises(Taken):
        listen(path)


@pytest.mark.slow
async def test_an_agent_starts_one_when_a_command_comes_and_ends_it_with_itself(tmp_path: Path) -> None:
    path = tmp_path / "standby.sock"
    environment = {
        "SHOAL_STANDBY_SOCKET": str(path), "SHOAL_NODE_DATA_DIR": str(tmp_path), "SHOAL_CONFIG": os.devnull
    }  # fmt: skip
    async with open_shoal(tmp_path, "http://127.0.0.1:1", standby__socket=str(path)) as node:
        assert _servers(node.daemon.pid) == []
        alone = await run(*_LAUNCH, "config", environment=environment)
        with trio.fail_after(60):
            while not await _is_used(node.daemon.pid, environment):
                pass
        [server] = _servers(node.daemon.pid)
        assert (await run(*_LAUNCH, "config", environment=environment)).stdout == alone.stdout
        assert (await run(*_LAUNCH, "config", "--no", environment=environment, check=False)).exit_code == 2
    assert not Path(f"/proc/{server}").exists()
    assert not path.exists()


async def _is_used(agent: int, environment: Mapping[str, str]) -> bool:
    """A command that waits for its input is carried out by a fork of the standby process."""
    process = await trio.lowlevel.open_process(
        [*_LAUNCH, "import", "-", "x:1"],
        stdin=PIPE,
        stdout=DEVNULL,
        stderr=DEVNULL,
        env={**os.environ, **environment},
    )
    try:
        await trio.sleep(0.5)
        return any(_children(server) for server in _servers(agent))
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


def _servers(agent: int) -> list[int]:
    """Standby processes that this agent has started."""
    return [pid for pid in _children(agent) if b"standby" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _children(pid: int) -> list[int]:
    return [
        int(child)
        for tasks in Path(f"/proc/{pid}/task").iterdir()
        for child in (tasks / "children").read_text().split()
    ]
