"""`open_daemon`: a real server process for as long as a block lasts.

Invariant: when the block is left, by whatever way, the process has ended; it is stopped by its own pid. Should the
test run itself be killed, the kernel tells the process to stop (a death signal of its parent).
"""

import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

_POLL_SECONDS = 0.03


class DaemonFailed(AssertionError):
    """A server did not come up, or did not say what was awaited."""


@dataclass(slots=True)
class Daemon:
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    async def wait_log(self, pattern: str, deadline_seconds: float = 30) -> "re.Match[str]":
        """The first match of `pattern` in the log. Raises DaemonFailed at the deadline, or once the process ended."""
        with trio.move_on_after(deadline_seconds):
            while True:
                ended = self.process.poll() is not None
                if found := re.search(pattern, self.log_text()):
                    return found
                if ended:
                    break
                await trio.sleep(_POLL_SECONDS)
        state = "still running" if self.process.poll() is None else f"ended with {self.process.returncode}"
        raise DaemonFailed(f"{self._name} ({state}) did not say {pattern!r}:\n{self.log_text()[-4000:]}")

    async def kill(self) -> None:
        """kill -9, and wait for the end."""
        self.process.kill()
        await self.wait()

    async def wait(self) -> int:
        """The exit code, once there is one."""
        while (code := self.process.poll()) is None:
            await trio.sleep(_POLL_SECONDS)
        return code

    async def stop(self, grace_seconds: float) -> None:
        """SIGTERM, after `grace_seconds` SIGKILL. Does nothing where the process has ended already."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with trio.move_on_after(grace_seconds):
                await self.wait()
        if self.process.poll() is None:
            await self.kill()

    @property
    def _name(self) -> str:
        return str(self.process.args)


@asynccontextmanager
async def open_daemon(
    command: Sequence[str | Path],
    *,
    log: Path,
    ready: str,
    environment: Mapping[str, str] | None = None,
    namespace: str | None = None,
    ready_seconds: float = 30,
    grace_seconds: float = 15,
) -> AsyncIterator[Daemon]:
    """Starts `command` (inside a network namespace, if given) and yields once its output, stderr included, which goes
    to `log`, matches `ready`."""
    inside = ["ip", "netns", "exec", namespace] if namespace else []
    # The death signal is tied to the thread that forks, so this must be a thread that lasts: the main one.
    full = ["setpriv", "--pdeathsig", "TERM", *inside, *(str(part) for part in command)]
    with open(log, "ab") as output:
        process = subprocess.Popen(
            full,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    daemon = Daemon(process, log)
    try:
        await daemon.wait_log(ready, ready_seconds)
        yield daemon
    finally:
        with trio.CancelScope(shield=True):
            await daemon.stop(grace_seconds)


def is_running(pid: int) -> bool:
    """A zombie that its parent has yet to reap is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
