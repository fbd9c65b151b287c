"""`BenchNode`: one host's agent, which can be killed and started again while the cluster runs."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import trio

from tests.clients.shoal_node import ShoalNode, open_shoal
from tests.cluster.namespaces import Host

_TICK = os.sysconf("SC_CLK_TCK")
PEER_PORT = 5051


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process has taken of the machine: CPU since its start, memory at its highest since `forget_peak`."""

    cpu_seconds: float
    peak_rss_bytes: int


class BenchNode:
    def __init__(
        self,
        host: Host,
        directory: Path,
        registry_url: str,
        tracker_url: str,
        settings: Mapping[str, str],
        clock_file: str | None,
    ) -> None:
        self.host = host
        self.directory = directory
        self._registry_url = registry_url
        self._tracker_url = tracker_url
        self._settings = settings
        self._clock_file = clock_file
        self._shoal: ShoalNode | None = None
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

    @property
    def shoal(self) -> ShoalNode:
        assert self._shoal is not None, "it is not running"
        return self._shoal

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Its process, until `kill`, or until this task is cancelled. After that it may run again."""
        self._scope, self._ended = trio.CancelScope(), trio.Event()
        address = self.host.address
        try:
            with self._scope:
                async with open_shoal(
                    self.directory,
                    self._registry_url,
                    command="agent",
                    tracker_url=self._tracker_url,
                    namespace=self.host.namespace,
                    peer__listen=f"0.0.0.0:{PEER_PORT}",
                    peer__advertise=f"{address}:{PEER_PORT}",
                    security__insecure_cluster="true",
                    clock_file=self._clock_file,
                    **self._settings,
                ) as self._shoal:
                    task_status.started()
                    await trio.sleep_forever()
        finally:
            self._shoal = None
            self._ended.set()

    async def kill(self) -> None:
        """kill -9; the data directory stays."""
        await self.shoal.daemon.kill()
        self._scope.cancel()
        await self._ended.wait()

    async def reaches_its_tracker(self) -> bool:
        return bool((await self.shoal.status())["tracker"]["reached"])

    def spent(self) -> Spent:
        fields = Path(f"/proc/{self.shoal.daemon.pid}/stat").read_text().rpartition(")")[2].split()
        return Spent((int(fields[11]) + int(fields[12])) / _TICK, self.shoal.peak_resident_bytes())
