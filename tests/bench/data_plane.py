"""The data plane on one machine: what bytes cost here, beside nginx and curl in the same run.

    python -m tests.bench.data_plane [--mib 1024] [--json FILE] [--only warm,cold]

Rows: a warm blob to curl; one agent to one agent; small blobs on keep-alive connections; a cold pull by one agent
alone. Every pair is measured in turn, a few times, and the medians of the ratios are told: machines are noisy.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import trio

from agent.content.digest import Digest
from tests.clients.command import run
from tests.clients.daemon import open_daemon
from tests.clients.registry import open_registry
from tests.clients.shoal_node import REGISTRY, open_shoal, open_tracker
from tests.clients.skopeo import Skopeo
from tests.fakes.images import Image, make_image, random_layer, runnable_image
from tests.fakes.publish import push_image

_MIB = 1024 * 1024
ROWS = ("cold", "layers", "warm", "small", "agents")
_TICK = os.sysconf("SC_CLK_TCK")
_NGINX = """
daemon off; user root; worker_processes 1; pid {root}/nginx.pid; error_log {root}/nginx.err;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
  uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
  server {{ listen 127.0.0.1:{port}; root {files}; }}
}}
"""


@dataclass(frozen=True)
class Row:
    """`ours` and `theirs` in `unit`; `ratio` is ours over theirs, the median of the pairs. `limit`: what we aim at."""

    what: str
    unit: str
    ours: float
    theirs: float
    ratio: float
    limit: str


@asynccontextmanager
async def open_nginx(root: Path, files: Path) -> AsyncIterator[str]:
    """Serves `files`; its URL."""
    root.mkdir(exist_ok=True)
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    config = root / "nginx.conf"
    config.write_text(_NGINX.format(root=root, port=port, files=files))
    async with open_daemon(["nginx", "-c", str(config)], log=root / "log", ready="") as daemon:
        url = f"http://127.0.0.1:{port}"
        with trio.fail_after(10):
            while (await run("curl", "-sf", "-o", "/dev/null", f"{url}/", check=False)).exit_code not in (
                0,
                22,
            ):
                await trio.sleep(0.05)
        del daemon
        yield url


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used so far (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def pairs(
    times: int, ours: Callable[[], Awaitable[float]], theirs: Callable[[], Awaitable[float]]
) -> tuple[float, float, float]:
    """Medians of ours, of theirs, and of the ratios pair by pair."""
    measured = [(await ours(), await theirs()) for _ in range(times)]
    mine, other = zip(*measured, strict=True)
    return statistics.median(mine), statistics.median(other), statistics.median(a / b for a, b in measured)


def _largest(image: Image) -> Digest:
    return max(image.blobs, key=lambda blob: blob.size_bytes).digest


class DataPlane:
    def __init__(self, root: Path, mib: int, times: int, file: Path | None) -> None:
        self._root = root
        self._file = file
        self._size = mib * _MIB
        self._times = times
        self.rows: list[Row] = []
        self.failed: list[str] = []

    async def measure(self, rows: Collection[str]) -> None:
        """`rows`: names from ROWS. What fails is told, and does not keep the others."""
        image = make_image([random_layer("data plane", self._size - 2048)])
        async with open_registry(self._root / "registry") as registry:
            await push_image(image, registry.url, "bench/large", "1")
            parts: dict[str, Callable[[str], Awaitable[None]]] = {
                "cold": lambda url: self._cold(url, "bench/large:1", image, 1.15, self._times),
                "layers": self._layers,
                "warm": lambda url: self._warm(url, image),
                "small": self._small,
                "agents": lambda url: self._agent_to_agent(url, image),
            }
            for name in ROWS:
                if name in rows:
                    try:
                        await parts[name](registry.url)
                    except Exception as error:  # noqa: BLE001 -- whatever it is, the others are measured
                        self.failed.append(name)
                        traceback.print_exception(error)
                        print(f"{name}: FAILED", flush=True)

    def _add(self, what: str, unit: str, measured: tuple[float, float, float], limit: str) -> None:
        ours, theirs, ratio = (round(value, 3) for value in measured)
        row = Row(what, unit, ours, theirs, ratio, limit)
        self.rows.append(row)
        if self._file is not None:
            self._file.write_text(json.dumps([asdict(row) for row in self.rows], indent=1) + "\n")
        print(
            f"{row.what:52} {row.ours:>10} {row.theirs:>10} {row.unit:12} {row.ratio:>7}  {row.limit}",
            flush=True,
        )

    async def _layers(self, url: str) -> None:
        small = make_image([random_layer(f"small {number}", 100_000) for number in range(50)])
        await push_image(small, url, "bench/small", "1")
        await self._cold(url, "bench/small:1", small, 1.3, self._times)

    async def _cold(self, url: str, reference: str, image: Image, limit: float, times: int) -> None:
        """skopeo through an agent that has nothing, and straight from the registry."""
        skopeo = Skopeo.in_directory(self._root / "skopeo", insecure=(url.partition("//")[2],))
        number = 0

        async def straight() -> float:
            nonlocal number
            number += 1
            target = self._root / f"straight{number}"
            seconds = await timed(
                lambda: skopeo.copy_to_directory(f"{url.partition('//')[2]}/{reference}", target)
            )
            shutil.rmtree(target)
            return seconds

        async def through_agent() -> float:
            nonlocal number
            number += 1
            directory, target = self._root / f"cold{number}", self._root / f"through{number}"
            async with open_shoal(directory, url) as node:
                client = Skopeo.in_directory(self._root / f"skopeo{number}", insecure=(node.authority,))
                source = f"{node.authority}/{REGISTRY}/{reference}"
                seconds = await timed(lambda: client.copy_to_directory(source, target))
            shutil.rmtree(target)
            shutil.rmtree(directory)
            return seconds

        what = f"cold pull, one agent alone, {len(image.blobs) - 1} layer(s)"
        self._add(what, "s", await pairs(times, through_agent, straight), f"<= {limit}")

    async def _warm(self, registry_url: str, image: Image) -> None:
        digest = _largest(image)
        async with AsyncExitStack() as stack:
            node = await stack.enter_async_context(open_shoal(self._root / "warm", registry_url))
            await node.pull(f"{REGISTRY}/bench/large:1")
            blob = node.directory / "store" / "blobs" / digest.algorithm / digest.hex
            nginx = await stack.enter_async_context(open_nginx(self._root / "nginx", blob.parent))

            async def fetch(url: str) -> float:
                output = await run("curl", "-sf", "-o", "/dev/null", "-w", "%{speed_download}", url)
                return float(output.stdout) / 1e9

            measured = await pairs(
                self._times * 5,  # a tenth of a second each
                lambda: fetch(f"{node.url}/v2/bench/large/blobs/{digest}?ns={REGISTRY}"),
                lambda: fetch(f"{nginx}/{digest.hex}"),
            )
            self._add("warm blob to curl, beside nginx", "GB/s", measured, ">= 1")

    async def _small(self, registry_url: str) -> None:
        image = runnable_image([random_layer("tiny", 0)])
        await push_image(image, registry_url, "bench/tiny", "1")
        async with open_shoal(self._root / "small", registry_url) as node:
            await node.pull(f"{REGISTRY}/bench/tiny:1")
            digest = min(image.blobs, key=lambda blob: blob.size_bytes).digest
            target = f"{node.url}/v2/bench/tiny/blobs/{digest}?ns={REGISTRY}"
            output = await run("wrk", "-t1", "-c8", "-d5s", target)
        line = next(line for line in output.stdout.splitlines() if "Requests/sec" in line)
        rate = float(line.split()[1])
        self._add(
            "small blobs on keep-alive connections",
            "requests/s",
            (rate, 3000.0, rate / 3000.0),
            ">= 1 of 3,000",
        )

    async def _agent_to_agent(self, url: str, image: Image) -> None:
        digest = _largest(image)
        reference = f"{REGISTRY}/bench/large:1"
        ours: list[tuple[float, float, float]] = []
        theirs: list[float] = []
        async with open_tracker(self._root / "tracker.log") as tracker:
            a = self._root / "sender"
            async with open_shoal(a, url, command="agent", tracker_url=tracker.url) as sender:
                await sender.pull(reference)
                blobs = a / "store" / "blobs" / "sha256"
                async with open_nginx(self._root / "nginx", blobs) as nginx:
                    for number in range(self._times):
                        b = self._root / f"receiver{number}"
                        async with open_shoal(b, url, command="agent", tracker_url=tracker.url) as receiver:
                            before = cpu_seconds(receiver.daemon.pid), cpu_seconds(sender.daemon.pid)
                            started = time.perf_counter()
                            outcome = await receiver.pull(reference)
                            seconds = time.perf_counter() - started
                            assert outcome["outcome"] == "done", outcome
                            spent = (
                                cpu_seconds(receiver.daemon.pid) - before[0],
                                cpu_seconds(sender.daemon.pid) - before[1],
                            )
                            ours.append((seconds, *spent))
                        shutil.rmtree(b)
                        theirs.append(await self._curl_and_sum(f"{nginx}/{digest.hex}", digest.hex))
        per_gib = 1024 * _MIB / self._size
        ratios = [mine[0] / other for mine, other in zip(ours, theirs, strict=True)]
        wall, received, sent = (statistics.median(column) for column in zip(*ours, strict=True))
        self._add(
            "one agent to one agent, beside curl + sha256sum",
            "s",
            (wall, statistics.median(theirs), statistics.median(ratios)),
            "<= 1.3",
        )
        self._add(
            "  CPU at the receiver, a GiB",
            "CPU s",
            (received * per_gib, 2.0, received * per_gib / 2.0),
            "<= 1 of 2.0",
        )
        self._add(
            "  CPU at the sender, a GiB", "CPU s", (sent * per_gib, 0.6, sent * per_gib / 0.6), "<= 1 of 0.6"
        )

    async def _curl_and_sum(self, url: str, hex_digest: str) -> float:
        target = self._root / "curled"
        target.unlink(missing_ok=True)

        async def both() -> None:
            await run("curl", "-sf", "-o", target, url)
            output = await run("sha256sum", target)
            assert output.stdout.startswith(hex_digest)

        return await timed(both)


async def main(mib: int, times: int, rows: Collection[str], json_file: Path | None) -> int:
    with tempfile.TemporaryDirectory(prefix="shoal-bench-", dir="/tmp") as root:
        plane = DataPlane(Path(root), mib, times, json_file)
        print(f"{'':52} {'ours':>10} {'theirs':>10} {'':12} {'ratio':>7}  aim")
        await plane.measure(rows)
    return int(bool(plane.failed))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=ROWS, help=f"of {','.join(ROWS)}"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if unknown := set(given.only) - set(ROWS):
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}")
    sys.exit(trio.run(main, given.mib, given.times, given.only, given.json))
