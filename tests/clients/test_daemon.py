"""Processes that tests start end with the block that started them, whatever happens in it."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.clients.command import CommandFailed, run
from tests.clients.daemon import DaemonFailed, is_running, open_daemon

SLEEPER = ["sh", "-c", "echo ready; exec sleep 300"]
STUBBORN = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]


async def test_a_daemon_ends_after_a_failure_in_its_block(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_daemon(SLEEPER, log=tmp_path / "log", ready="ready") as daemon:
            raise ZeroDivisionError
    assert daemon.process.returncode == -signal.SIGTERM


async def test_a_daemon_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    async with open_daemon(STUBBORN, log=tmp_path / "log", ready="ready", grace_seconds=0.1) as daemon:
        pass
    assert daemon.process.returncode == -signal.SIGKILL


async def test_a_daemon_ends_when_its_block_is_cancelled(tmp_path: Path) -> None:
    with trio.CancelScope() as scope:
        async with open_daemon(SLEEPER, log=tmp_path / "log", ready="ready") as daemon:
            scope.cancel()
            await trio.sleep_forever()
    assert not is_running(daemon.pid)


async def test_a_daemon_that_dies_early_shows_its_log(tmp_path: Path) -> None:
    with pytest.raises(DaemonFailed, match="no such option"):
        async with open_daemon(
            ["sh", "-c", "echo no such option; exit 3"], log=tmp_path / "log", ready="ready"
        ):
            pass


async def test_a_command_that_hangs_is_ended_at_its_deadline() -> None:
    with pytest.raises(CommandFailed, match="not done after"):
        await run("sleep", "300", deadline_seconds=0.05)


def test_a_daemon_does_not_outlive_a_killed_test_run(tmp_path: Path) -> None:
    program = (
        "import trio\n"
        "from pathlib import Path\n"
        "from tests.clients.daemon import open_daemon\n"
        "async def main():\n"
        f"    async with open_daemon({SLEEPER!r}, log=Path({str(tmp_path / 'log')!r}), ready='ready') as daemon:\n"
        "        print(daemon.pid, flush=True)\n"
        "        await trio.sleep_forever()\n"
        "trio.run(main)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        pid = int(runner.stdout.readline())
        ended = os.pidfd_open(pid)
        runner.kill()
    try:
        wait_for_exit(ended)
    finally:
        os.close(ended)
    assert not is_running(pid)


def wait_for_exit(pidfd: int) -> None:
    """A pidfd becomes readable when its process ends (pidfd_open(2))."""
    ready, _, _ = select.select([pidfd], [], [], 5)
    assert ready, "still running 5 s after its parent"
