"""`open_shoal` and `open_tracker`: real `shoal` processes, each on ports and a data directory of its own.

A node keeps its data directory: opening another one there is what a restart is. What a node tells of itself comes from
its admin socket, what it takes of the machine from /proc.
"""

import hashlib
import json
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from agent.content.digest import Digest
from agent.content.errors import SourceError
from agent.http.client import HttpClient
from tests.clients.daemon import Daemon, open_daemon
from tests.clients.moved_clock import clock_environment

SHOAL = (sys.executable, "-m", "shoal")
REGISTRY = "registry.example"
_UP = r"mirror up listen=(\S+):(\d+)"
_TRACKER_UP = r"tracker up listen=(\S+):(\d+)"
_MAX_ANSWER_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class ShoalTracker:
    daemon: Daemon
    url: str
    port: int


@dataclass(frozen=True, slots=True)
class ShoalNode:
    """`port` is the mirror's; `file_mirrors` is what registries.conf wants for each upstream."""

    daemon: Daemon
    directory: Path
    host: str
    port: int

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}"

    def mirrors(self, *registries: str) -> dict[str, str]:
        """For registries.conf: each registry below a prefix of its own."""
        return {registry: f"{self.authority}/{registry}" for registry in registries}

    async def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(await self._call("GET", "/v1/status", deadline_seconds=10))
        return status

    async def pull(self, reference: str, deadline_seconds: float = 120) -> dict[str, Any]:
        """The last line that the node reports of a pull into its own store: `outcome`, `layers`, `error`."""
        wanted = json.dumps({"reference": reference}).encode()
        lines = await self._call("POST", "/v1/pull", wanted, deadline_seconds=deadline_seconds)
        last: dict[str, Any] = json.loads(lines.splitlines()[-1])
        return last

    def blob_sha256(self, digest: Digest) -> str | None:
        """Of the bytes that the store has under this digest; None where it has none."""
        try:
            with (self.directory / "store" / "blobs" / digest.algorithm / digest.hex).open("rb") as blob:
                return hashlib.file_digest(blob, "sha256").hexdigest()
        except FileNotFoundError:
            return None

    # ---- what it takes of the machine

    def open_files(self) -> list[str]:
        """What every file descriptor of the process is of, sockets included."""
        found = []
        for link in Path(f"/proc/{self.daemon.pid}/fd").iterdir():
            try:
                found.append(str(link.readlink()))
            except FileNotFoundError:
                pass  # closed meanwhile
        return sorted(found)

    def resident_bytes(self) -> int:
        """Now."""
        return self._memory("VmRSS")

    def peak_resident_bytes(self) -> int:
        """The most since the start, or since `forget_peak`."""
        return self._memory("VmHWM")

    def forget_peak(self) -> None:
        """proc(5): writing 5 to clear_refs resets the peak to what is resident now."""
        Path(f"/proc/{self.daemon.pid}/clear_refs").write_text("5")

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self.daemon.pid}/status").read_text()
        found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found.group(1)) * 1024

    async def _call(self, method: str, path: str, body: bytes = b"", *, deadline_seconds: float) -> bytes:
        """Over a connection that is gone afterwards."""
        client = HttpClient(self._connect, host="shoal", failure=SourceError)
        try:
            answer = await client.request(
                method, path, body=body, limit_bytes=_MAX_ANSWER_BYTES, deadline_seconds=deadline_seconds
            )
        finally:
            await client.aclose()
        assert answer.status == 200, answer.body
        return answer.body

    async def _connect(self) -> trio.SocketStream:
        return await trio.open_unix_socket(str(self.directory / "shoal.sock"))


@asynccontextmanager
async def open_shoal(
    directory: Path,
    upstream_url: str,
    *,
    command: str = "up",
    tracker_url: str = "",
    host: str = "127.0.0.1",
    namespace: str | None = None,
    clock_file: str | None = None,
    **settings: str,
) -> AsyncIterator[ShoalNode]:
    """A node whose upstreams docker.io and REGISTRY are both at `upstream_url`. `directory` must have a short path (see
    scratch). `clock_file`: the wall clock that it goes by (moved_clock.py). `settings` are keys with two underscores
    for the dot: `store__quota="1GB"`. Its command is `up` (with a tracker inside) or `agent`."""
    directory.mkdir(parents=True, exist_ok=True)
    credentials = directory / "no-credentials.json"
    credentials.write_text("{}")
    values = {
        "node.data_dir": str(directory),
        "node.name": directory.name,
        "proxy.listen": f"{host}:0",
        "peer.listen": f"{host}:0",
        "tracker.listen": f"{host}:0",
        "tracker.url": tracker_url,
        "store.floor_free": "0",
        "standby.socket": "none",
        "upstreams": f"docker.io={upstream_url},{REGISTRY}={upstream_url}",
        "credentials.docker_config": str(credentials),
    }
    values |= {key.replace("__", "."): value for key, value in settings.items()}
    log = directory / "log"
    log.unlink(missing_ok=True)
    async with open_daemon(
        [*SHOAL, command],
        log=log,
        ready=_UP,
        environment=_environment(values, clock_file),
        namespace=namespace,
    ) as daemon:
        found = await daemon.wait_log(_UP)
        yield ShoalNode(daemon, directory, found.group(1), int(found.group(2)))


@asynccontextmanager
async def open_tracker(
    log: Path,
    *,
    host: str = "127.0.0.1",
    namespace: str | None = None,
    clock_file: str | None = None,
    **settings: str,
) -> AsyncIterator[ShoalTracker]:
    """`clock_file` and `settings` as for open_shoal."""
    values = {"tracker.listen": f"{host}:0"}
    values |= {key.replace("__", "."): value for key, value in settings.items()}
    log.unlink(missing_ok=True)
    async with open_daemon(
        [*SHOAL, "tracker"],
        log=log,
        ready=_TRACKER_UP,
        environment=_environment(values, clock_file),
        namespace=namespace,
    ) as daemon:
        found = await daemon.wait_log(_TRACKER_UP)
        yield ShoalTracker(daemon, f"http://{found.group(1)}:{found.group(2)}", int(found.group(2)))


def _environment(values: Mapping[str, str], clock_file: str | None) -> dict[str, str]:
    clock = clock_environment(clock_file) if clock_file is not None else {}
    return clock | {f"SHOAL_{key.replace('.', '_').upper()}": value for key, value in values.items()}
