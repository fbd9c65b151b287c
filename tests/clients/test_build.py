"""`shoal build` on one node: run by Docker, containerd and podman through another; built again there without a RUN; and
what is left behind, however a build ends.
"""

import io
import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.clients.command import Output
from tests.clients.containerd import open_containerd
from tests.clients.docker_engine import open_docker_engine
from tests.clients.podman import Podman
from tests.clients.shoal_command import ShoalCommand
from tests.clients.shoal_node import SHOAL, ShoalNode, open_shoal, open_tracker

_PATIENCE = 100  # tenths of a second
NOBODY = "http://127.0.0.1:1"
APPLETS = ("sh", "cat", "date", "echo", "id", "ls", "mkdir", "rm", "sleep", "touch")
DOCKERFILE = """\
FROM base/busybox:1 AS work
RUN date +%s%N > /stamp
COPY greeting /src/
RUN --mount=type=secret,id=word cat /src/greeting > /out
FROM base/busybox:1
COPY --from=work /out /stamp /
CMD ["cat", "/out"]
"""


def busybox_root() -> bytes:
    """A tar."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for name in APPLETS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name, body in (("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n"), ("etc/group", b"root:x:0:\n")):
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
        for name in ("tmp", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
    return file.getvalue()


async def import_base(command: ShoalCommand) -> None:
    await command.shoal("import", "-", "base/busybox:1", stdin=busybox_root())


def context(scratch: Path, dockerfile: str = DOCKERFILE, **files: str) -> Path:
    directory = scratch / "context"
    directory.mkdir(exist_ok=True)
    for name, text in {"Dockerfile": dockerfile, "greeting": "hello from a build\n", **files}.items():
        (directory / name).write_text(text)
    return directory


async def build(command: ShoalCommand, directory: Path, *flags: str | Path, check: bool = True) -> Output:
    return await command.shoal("build", "--progress", "plain", "--json", *flags, directory, check=check)


@asynccontextmanager
async def open_pair(scratch: Path) -> AsyncIterator[tuple[ShoalNode, ShoalNode]]:
    """Two agents that take each other's build results, and their tracker."""
    async with AsyncExitStack() as stack:
        tracker = await stack.enter_async_context(open_tracker(scratch / "tracker.log"))
        one, two = [
            await stack.enter_async_context(
                open_shoal(
                    scratch / name,
                    NOBODY,
                    command="agent",
                    tracker_url=tracker.url,
                    build__trusted_builders="*",
                )
            )
            for name in ("one", "two")
        ]
        yield one, two


def beside(node: ShoalNode, trusted: str = "*") -> ShoalCommand:
    return ShoalCommand(node.directory, {"SHOAL_BUILD_TRUSTED_BUILDERS": trusted})


@pytest.mark.real("runc", "iptables", "docker", "containerd", "podman", "busybox")
@pytest.mark.slow
async def test_what_one_node_builds_runs_in_every_engine_of_another(scratch: Path) -> None:
    async with open_pair(scratch) as (one, two):
        builder = beside(one)
        await import_base(builder)
        await build(builder, context(scratch), "-t", "team/app:1")
        async with open_docker_engine(scratch / "docker") as docker:
            name = f"{two.authority}/team/app:1"
            await docker.pull(name)
            assert await docker.run_image(name) == "hello from a build\n"
        podman = Podman.in_directory(scratch / "podman")
        await podman.pull(f"{two.authority}/team/app:1", "--tls-verify=false")
        assert await podman.run_image(f"{two.authority}/team/app:1") == "hello from a build\n"
        async with open_containerd(scratch / "containerd") as containerd:
            await containerd.ctr("images", "pull", "--plain-http", f"{two.authority}/team/app:1")
            assert await containerd.run_image(f"{two.authority}/team/app:1") == "hello from a build\n"


@pytest.mark.real("runc", "iptables", "busybox")
@pytest.mark.slow
async def test_a_second_node_builds_the_same_without_running_anything(scratch: Path) -> None:
    plain = DOCKERFILE.replace("--mount=type=secret,id=word ", "")
    async with open_pair(scratch) as (one, two):
        await import_base(beside(one))
        first = json.loads((await build(beside(one), context(scratch, plain), "-t", "team/app:1")).stdout)
        assert first["cached"] == 0
        stranger = json.loads(
            (await build(beside(two, trusted=""), context(scratch, plain), "--target", "work", "-q")).stdout
        )
        assert stranger["cached"] == 0  # of nodes that are not trusted nothing is taken
        again = await build(
            beside(two), context(scratch, plain), "-t", "team/other:1", "--no-cache-filter", "x"
        )
        told = json.loads(again.stdout)
        assert told["image_id"] == first["image_id"]
        assert (told["steps"], told["cached"]) == (1, 1)
        listed = (await beside(two).shoal("images", "-q", "--no-trunc")).stdout
        assert first["image_id"] in listed
        assert "build-cache" not in (await beside(two).shoal("images")).stdout


@pytest.mark.real("runc", "iptables", "busybox")
@pytest.mark.slow
async def test_steps_with_secrets_are_told_to_nobody(scratch: Path) -> None:
    async with open_pair(scratch) as (one, two):
        await import_base(beside(one))
        flags = ("--secret", "id=word,env=WORD", "--target", "work")
        word = {"WORD": "s3cret", "SHOAL_BUILD_TRUSTED_BUILDERS": "*"}
        first = ShoalCommand(one.directory, word)
        assert json.loads((await build(first, context(scratch), *flags)).stdout)["cached"] == 0
        assert json.loads((await build(first, context(scratch), *flags)).stdout)["cached"] == 3
        second = json.loads((await build(ShoalCommand(two.directory, word), context(scratch), *flags)).stdout)
        assert second["cached"] == 2


@pytest.mark.real("runc", "busybox")
@pytest.mark.slow
async def test_two_nodes_that_never_met_build_the_same_digest(scratch: Path) -> None:
    dockerfile = "FROM base/busybox:1\nCOPY greeting /\nRUN echo x > /x && mkdir -p /a/b && rm /bin/touch\n"
    root, found = busybox_root(), set()
    for name in ("one", "two"):
        command = ShoalCommand(scratch / name)
        layout = scratch / "base.tar"
        if not layout.exists():
            await command.shoal("import", "-", "base/busybox:1", stdin=root)
            await command.shoal("save", "-o", layout, "base/busybox:1")
        else:
            await command.shoal("load", "-i", layout)
        found.add(json.loads((await build(command, context(scratch, dockerfile))).stdout)["digest"])
    assert len(found) == 1


@pytest.mark.real("runc", "busybox")
@pytest.mark.slow
async def test_a_failing_run_shows_its_line_its_last_output_and_its_status(scratch: Path) -> None:
    command = ShoalCommand(scratch / "node")
    await import_base(command)
    dockerfile = "FROM base/busybox:1\nRUN echo a reason; exit 42\n"
    failed = await build(command, context(scratch, dockerfile), check=False)
    assert failed.exit_code == 1
    assert "a reason" in failed.stderr
    assert "Dockerfile:2" in failed.stderr
    assert ">>> RUN echo a reason; exit 42" in failed.stderr
    assert "did not complete successfully: exit code: 42" in failed.stderr
    assert left_behind(scratch) == []


@pytest.mark.real("runc", "iptables", "busybox")
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_nothing_is_left_of_a_build_that_is_ended(scratch: Path, number: signal.Signals) -> None:
    command = ShoalCommand(scratch / "node")
    await import_base(command)
    directory = context(scratch, "FROM base/busybox:1\nRUN echo begun; sleep 1000\n")
    with subprocess.Popen(
        [*SHOAL, "build", "--progress", "plain", str(directory)],
        env=dict(os.environ, SHOAL_NODE_DATA_DIR=str(command.directory)),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as process:
        assert process.stderr is not None
        while b"begun\n" not in (line := process.stderr.readline()) or b"RUN" in line:
            assert line, "it ended"
        process.send_signal(number)
        with trio.fail_after(30):
            status = await trio.to_thread.run_sync(process.wait)
    assert status == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    if number == signal.SIGKILL:  # the next build clears up
        await build(command, context(scratch, "FROM base/busybox:1\nLABEL a=b\n"))
    assert left_behind(scratch) == []


def left_behind(scratch: Path) -> list[str]:
    """Mounts, processes, networks and work of builds below this directory. What a build elsewhere on the machine is
    using at this moment has gone a little later."""
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(scratch) in line]
    networks = _links()
    for _ in range(_PATIENCE):
        if not networks:
            break
        time.sleep(0.1)
        networks &= _links()
    sleeping = subprocess.run(["pgrep", "-f", "sleep 1000$"], capture_output=True, text=True, check=False)
    work = [str(path) for path in (scratch / "node" / "build" / "work").iterdir()]
    return [*mounts, *networks, *sleeping.stdout.split(), *work]


def _links() -> set[str]:
    """Network links that builds made."""
    listed = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    return {line for line in listed.splitlines() if "shoal" in line}
