"""Builds beside Docker's BuildKit, in the same run on one machine (root).

    python -m tests.bench.builds [--debian ROOT.tar] [--times 3] [--json FILE] [--only change,debian,python]

`change`: one line changed in the last COPY of a 300 MB image, from the start of the build until eight nodes have it;
beside it docker build, docker push to a docker-registry, and `docker pull` by eight engines at once. The same build
again, with nothing changed. With a Debian root as a tar (debootstrap makes it) two images too, cold and with everything
cached: `debian`: apt-get install; `python`: an application of two stages, with pip and a cache mount.
An agent runs, as dockerd does on the other side, so commands find its standby process. Pairs in turn; medians.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from compileall import compile_dir
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import trio

from agent import standby as standby_package
from tests.clients.command import run
from tests.clients.docker_engine import DockerEngine, open_docker_engine
from tests.clients.real_images import IMAGES, RealImage, write_context
from tests.clients.registry import open_registry
from tests.clients.shoal_command import ShoalCommand
from tests.clients.shoal_node import ShoalNode, open_shoal, open_tracker
from tests.clients.test_build import NOBODY, busybox_root

_NODES = 8
_MIB = 1024 * 1024
_CHANGE = """\
FROM base/busybox:1
COPY big /big
RUN echo prepared > /prepared
COPY app.py /app.py
CMD ["cat", "/app.py"]
"""
_SHOAL = (Path(sys.executable).with_name("shoal"),)
_IMAGES = ("debian", "python")


@dataclass(frozen=True)
class Row:
    """Seconds, medians; ratio: ours over theirs. `limit`: what we aim at."""

    what: str
    ours: float
    theirs: float
    ratio: float
    limit: float


async def paired(
    what: str,
    limit: float,
    times: int,
    ours: Callable[[], Awaitable[None]],
    theirs: Callable[[], Awaitable[None]],
) -> Row:
    mine: list[float] = []
    others: list[float] = []
    for _ in range(times):
        for action, seconds in ((ours, mine), (theirs, others)):
            began = time.perf_counter()
            await action()
            seconds.append(time.perf_counter() - began)
    a, b = statistics.median(mine), statistics.median(others)
    return Row(what, round(a, 3), round(b, 3), round(a / b, 2), limit)


def docker_build(docker: DockerEngine, context: Path, tag: str, *flags: str) -> Callable[[], Awaitable[None]]:
    async def build() -> None:
        environment = {
            "DOCKER_HOST": f"unix://{docker.socket}",
            "DOCKER_BUILDKIT": "1",
            "DOCKER_CONFIG": str(docker.directory),
        }
        await run(
            "/usr/bin/docker",
            "build",
            "--network",
            "host",
            "-t",
            tag,
            *flags,
            context,
            environment=environment,
            deadline_seconds=600,
        )

    return build


def shoal_build(command: ShoalCommand, context: Path, tag: str, *flags: str) -> Callable[[], Awaitable[None]]:
    async def build() -> None:
        await command.shoal("build", "-q", "-t", tag, *flags, context)

    return build


async def measure_change(root: Path, times: int) -> list[Row]:
    """`change` and `cached`."""
    context = root / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(_CHANGE)
    (context / "big").write_bytes(os.urandom(300 * _MIB))
    (context / "app.py").write_text("print(0)\n")
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(open_registry(root / "registry"))
        docker = await stack.enter_async_context(open_docker_engine(root / "docker"))
        engines = [
            await stack.enter_async_context(open_docker_engine(root / f"e{number}"))
            for number in range(_NODES)
        ]
        (root / "busybox.tar").write_bytes(busybox_root())
        await docker.docker("import", root / "busybox.tar", "base/busybox:1")
        tracker = await stack.enter_async_context(open_tracker(root / "tracker.log"))
        standby = root / "standby.sock"
        nodes = [
            await stack.enter_async_context(
                open_shoal(
                    root / f"n{number}",
                    NOBODY,
                    command="agent",
                    tracker_url=tracker.url,
                    standby__socket="none" if number else str(standby),
                )
            )
            for number in range(_NODES + 1)
        ]
        command = await prepared(nodes[0].directory, standby)
        await command.shoal("import", "-", "base/busybox:1", stdin=busybox_root())
        theirs_tag = f"{registry.authority}/team/app:1"
        build_theirs = docker_build(docker, context, theirs_tag)
        build_ours = shoal_build(command, context, "team/app:1")
        count = 0

        def change() -> None:
            nonlocal count
            count += 1
            (context / "app.py").write_text(f"print({count})\n")

        async def ours() -> None:
            change()
            await build_ours()
            async with trio.open_nursery() as nursery:
                for node in nodes[1:]:
                    nursery.start_soon(pulled, node)

        async def pulled(node: ShoalNode) -> None:
            answer = await node.pull("cluster.shoal/team/app:1")
            assert answer["outcome"] == "done", answer

        async def theirs() -> None:
            change()
            await build_theirs()
            await docker.docker("push", theirs_tag)
            async with trio.open_nursery() as nursery:
                for engine in engines:
                    nursery.start_soon(engine.pull, theirs_tag)

        await ours()
        await theirs()
        rows = [
            await paired("one line changed in the last COPY of 300 MB, on 8 nodes", 0.5, times, ours, theirs)
        ]
        await build_ours()
        await build_theirs()
        rows.append(await paired("everything cached", 0.5, max(times, 5), build_ours, build_theirs))
        return rows


async def prepared(directory: Path, standby: Path) -> ShoalCommand:
    """Of an agent that is up: its standby process is there, too, and bytecode, as an installation has it."""
    compile_dir(standby_package.__path__[0], quiet=1)
    command = ShoalCommand(directory, {"SHOAL_STANDBY_SOCKET": str(standby)}, _SHOAL)
    await command.shoal("config")
    await trio.sleep(3)
    return command


async def measure_images(root: Path, tar: Path, images: Mapping[str, RealImage], times: int) -> list[Row]:
    """Each cold, and with everything cached."""
    rows = []
    standby = root / "standby.sock"
    async with (
        open_docker_engine(root / "engine") as docker,
        open_shoal(root / "node", NOBODY, standby__socket=str(standby)) as node,
    ):
        command = await prepared(node.directory, standby)
        await command.shoal("import", str(tar), "base/debian:12")
        await docker.docker("import", tar, "base/debian:12", deadline_seconds=600)
        for name, image in images.items():
            context = root / name
            await write_context(context, image)
            for row, limit, flags in ((f"{name}, cold", 1.1, ["--no-cache"]), (f"{name}, cached", 0.5, [])):
                ours = shoal_build(command, context, "x:1", *flags)
                theirs = docker_build(docker, context, "x:1", *flags)
                await ours()
                await theirs()
                rows.append(await paired(row, limit, times if flags else max(times, 9), ours, theirs))
    return rows


async def measure(arguments: argparse.Namespace, root: Path) -> list[Row]:
    rows = []
    if "change" in arguments.only:
        rows += await measure_change(root, arguments.times)
    images = {name: IMAGES[name] for name in _IMAGES if name in arguments.only}
    if images and arguments.debian is not None:
        rows += await measure_images(root, arguments.debian, images, arguments.times)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.builds", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--debian", type=Path, help="a Debian root file system as a tar")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", type=lambda text: text.split(","), default=["change", *_IMAGES])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="shoal-"))
    try:
        rows = trio.run(measure, arguments, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    for row in rows:
        print(
            f"{row.what:58} ours {row.ours:7.2f} s  theirs {row.theirs:7.2f} s  "
            f"ratio {row.ratio:.2f} (at most {row.limit})"
        )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2))


if __name__ == "__main__":
    main()
