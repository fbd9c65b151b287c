"""What a tracker bears: many nodes, each with a connection of its own, that announce many swarms each, over and over.

    python -m tests.bench.tracker_load [--nodes 10000] [--swarms 20] [--every 10] [--seconds 40] [--json FILE]

A real `shoal tracker`, held to one core, and its HTTP on loopback. Every announce tells of all the node's swarms, each
with a chunk set that has grown since: more than nodes at rest say, which tell changes alone. Nodes join within a
minute, and ask for peers in each of their swarms then; that is not measured.
Exit codes: 0 the tracker keeps up, 1 it does not, 2 mistaken flags.
"""

import argparse
import json
import os
import random
import resource
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import trio

from agent.content.chunk_map import ChunkMap
from agent.content.digest import Digest
from agent.wire.node_id import NodeId
from agent.wire.tracker_calls import ANNOUNCE, Announce, SwarmReport, encode_call
from tests.clients.shoal_node import ShoalTracker, open_tracker

_SIZE = 3_000_000_000
_BLOBS_A_SWARM = 10  # every node has `swarms` of ten times as many blobs
_PEERS_WANTED = 12
_MIB = 1024 * 1024
_MOST_BYTES = 1024 * _MIB
_LATE_SECONDS = 1.0
_KEEPS_UP = 0.98
_TRIES = 2
_JOINING_SECONDS = 60.0
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class LoadRow:
    """core: CPU seconds of the tracker a second, which may have one core. late: answers that took over a second."""

    nodes: int
    swarms: int
    every_seconds: float
    calls_per_second: float
    core: float
    p50_milliseconds: float
    p99_milliseconds: float
    late: int
    failed: int
    peak_rss_bytes: int

    @property
    def keeps_up(self) -> bool:
        asked = self.nodes / self.every_seconds
        return (
            not self.failed
            and self.calls_per_second >= _KEEPS_UP * asked
            and self.peak_rss_bytes <= _MOST_BYTES
        )

    def line(self) -> str:
        return (
            f"{self.nodes} nodes announce {self.swarms} swarms each every {self.every_seconds:g} s: "
            f"{self.calls_per_second:.0f} calls/s, {self.core:.0%} of a core, answered after "
            f"{self.p50_milliseconds:.1f} ms (p99 {self.p99_milliseconds:.0f}), {self.late} after more than a second, "
            f"{self.failed} not at all, {self.peak_rss_bytes / _MIB:.0f} MiB"
        )


@dataclass(slots=True)
class _Tally:
    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    is_open: bool = False


class _LoadNode:
    """Its announces; `told` of them so far."""

    def __init__(self, number: int, swarms: int, cluster: str) -> None:
        rng = random.Random(number)
        self._id = NodeId((number + 1).to_bytes(32, "big"))
        self._number = number
        self._cluster = cluster
        self._blobs = rng.sample(range(swarms * _BLOBS_A_SWARM), swarms)
        self._count = ChunkMap.of(_SIZE).count
        self._have = rng.getrandbits(self._count // 2)
        self.told = 0

    def call(self) -> bytes:
        first = not self.told
        self._have |= 1 << (self._count // 2 + self.told % (self._count // 2))
        self.told += 1
        have = self._have.to_bytes((self._count + 7) // 8, "little")
        reports = tuple(
            SwarmReport(
                Digest("sha256", f"{blob + 1:064x}"),
                _SIZE,
                have,
                source="registry",
                peers_wanted=_PEERS_WANTED if first else 0,
            )
            for blob in self._blobs
        )
        name, port = f"node-{self._number}", 1024 + self._number % 60_000
        return encode_call(
            ANNOUNCE,
            Announce(self._cluster, self._id, name, f"127.0.0.1:{port}", "", "", first, reports),
        )


async def _run_node(node: _LoadNode, host: str, port: int, every: float, wait: float, tally: _Tally) -> None:
    await trio.sleep(wait)
    head = f"POST /v1/announce HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/msgpack\r\n"
    stream: trio.SocketStream | None = None
    due = trio.current_time()
    while True:
        body = node.call()
        began = trio.current_time()
        request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        ok = False
        for _ in range(_TRIES):
            stream = stream or await trio.open_tcp_stream(host, port)
            ok = await _exchange(stream, request)
            if ok:
                break
            stream = None  # the tracker had closed a connection that was idle: as an agent does, once more
        if tally.is_open:
            tally.seconds.append(trio.current_time() - began)
            tally.failed += not ok
        due += every
        await trio.sleep_until(due)


async def _exchange(stream: trio.SocketStream, request: bytes) -> bool:
    try:
        await stream.send_all(request)
        return await _read_answer(stream)
    except trio.BrokenResourceError:
        return False


async def _read_answer(stream: trio.SocketStream) -> bool:
    data = b""
    while b"\r\n\r\n" not in data:
        more = await stream.receive_some(65536)
        if not more:
            return False
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    )
    left = length - len(body)
    while left > 0:
        left -= len(await stream.receive_some(65536)) or left + 1
    return head.startswith(b"HTTP/1.1 200") and left == 0


async def measure(nodes: int, swarms: int, every: float, seconds: float) -> LoadRow:
    # So many connections, at both ends.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    tally = _Tally()
    with tempfile.TemporaryDirectory() as directory:
        async with (
            open_tracker(Path(directory) / "log") as tracker,
            trio.open_nursery() as nursery,
        ):
            core, *others = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(tracker.daemon.pid, {core})
            os.sched_setaffinity(0, set(others) or {core})
            url = urlsplit(tracker.url)
            host, port = url.hostname or "", url.port or 0
            for number in range(nodes):
                node = _LoadNode(number, swarms, "default")
                wait = _JOINING_SECONDS * number / nodes
                nursery.start_soon(_run_node, node, host, port, every, wait, tally)
            await trio.sleep(_JOINING_SECONDS + every)
            busy, began, tally.is_open = _cpu_seconds(tracker), trio.current_time(), True
            await trio.sleep(seconds)
            took, tally.is_open = trio.current_time() - began, False
            row = _row(tally, nodes, swarms, every, took, (_cpu_seconds(tracker) - busy) / took, tracker)
            nursery.cancel_scope.cancel()
    return row


def _row(
    tally: _Tally, nodes: int, swarms: int, every: float, took: float, core: float, tracker: ShoalTracker
) -> LoadRow:
    times = sorted(tally.seconds) or [0.0]
    return LoadRow(
        nodes=nodes,
        swarms=swarms,
        every_seconds=every,
        calls_per_second=round(len(tally.seconds) / took, 1),
        core=round(core, 3),
        p50_milliseconds=round(times[len(times) // 2] * 1000, 2),
        p99_milliseconds=round(times[int(0.99 * (len(times) - 1))] * 1000, 2),
        late=sum(time > _LATE_SECONDS for time in times),
        failed=tally.failed,
        peak_rss_bytes=_peak_bytes(tracker.daemon.pid),
    )


def _cpu_seconds(tracker: ShoalTracker) -> float:
    fields = Path(f"/proc/{tracker.daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _peak_bytes(pid: int) -> int:
    lines: Sequence[str] = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tracker_load", description=__doc__)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--swarms", type=int, default=20)
    parser.add_argument("--every", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    row = trio.run(measure, given.nodes, given.swarms, given.every, given.seconds)
    print(row.line())
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(row)], indent=1) + "\n")
    return int(not row.keeps_up)


if __name__ == "__main__":
    sys.exit(main())
