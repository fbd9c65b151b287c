"""What single steps of `shoal build` see and leave: mounts, networks, outputs; and Ctrl-C in each of its phases."""

import json
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
import trio

from tests.clients.shoal_command import ShoalCommand
from tests.clients.shoal_node import SHOAL
from tests.clients.test_build import build, context, import_base, left_behind

SECRET = "correct horse battery staple"
MOUNTS = """\
FROM base/busybox:1 AS source
RUN mkdir /from && echo begun > /from/f
FROM base/busybox:1
RUN --mount=type=cache,id=a,target=/c,mode=1770,uid=7,gid=8 ls -ldn /c; date >> /c/log; echo lines: $(cat /c/log)
RUN --mount=type=cache,id=l,target=/c,sharing=locked --mount=type=cache,id=l,target=/d touch /c/log; ls /d
RUN --mount=type=cache,id=b,from=source,source=/from,target=/c cat /c/f; echo more > /c/f
RUN --mount=type=bind,source=sub,target=/m echo in sub: $(ls /m)
RUN --mount=type=bind,target=/m,rw echo x > /m/new; cat /m/new
RUN --mount=type=bind,source=greeting,target=/m,rw echo changed >> /m; cat /m
RUN --mount=type=secret,id=word,env=WORD --mount=type=secret,id=word echo ${#WORD}; ls -ln /run/secrets
RUN --mount=type=secret,id=none ls /run/secrets || echo no secrets
RUN --network=none ls /sys/class/net
"""


@pytest.mark.real("runc", "iptables", "busybox")
@pytest.mark.slow
async def test_mounts_show_what_was_asked_for_and_leave_nothing(scratch: Path) -> None:
    command = ShoalCommand(scratch / "node", {"WORD": SECRET})
    await import_base(command)
    directory = context(scratch, MOUNTS, **{".dockerignore": "sub/left-out"})
    (directory / "sub").mkdir()
    for name in ("kept", "left-out"):
        (directory / "sub" / name).touch()
    first = await build(command, directory, "--secret", "id=word,env=WORD")
    for line in (
        "drwxrwx--T    2 7        8", " log", " begun", " in sub: kept", " x", " changed",
        f" {len(SECRET)}", f"-r--------    1 0        0               {len(SECRET)}", " no secrets", " lo",
    ):  # fmt: skip
        assert line in first.stderr, first.stderr
    assert (directory / "greeting").read_text() == "hello from a build\n"
    assert sorted(path.name for path in directory.iterdir()) == [
        ".dockerignore",
        "Dockerfile",
        "greeting",
        "sub",
    ]
    again = await build(command, directory, "--secret", "id=word,env=WORD", "--no-cache")
    assert again.stderr.count("UTC") == 2  # what the first build wrote is still there
    assert " more" in again.stderr
    image = json.loads(again.stdout)["image_id"]
    with subprocess.Popen(
        ["grep", "-rlaF", SECRET, str(scratch / "node"), str(scratch / "context")], stdout=subprocess.PIPE
    ) as grep:
        assert grep.communicate()[0] == b""
    history = (await command.shoal("history", "--no-trunc", image)).stdout
    assert SECRET not in first.stderr + again.stderr + history
    files = (await command.shoal("history", "--format", "{{.Size}}", image)).stdout.split()
    assert len(files) >= 10
    assert left_behind(scratch) == []


@pytest.mark.real("runc", "skopeo", "podman", "busybox")
@pytest.mark.slow
async def test_outputs_are_read_by_other_tools(scratch: Path) -> None:
    command = ShoalCommand(scratch / "node")
    await import_base(command)
    dockerfile = "FROM base/busybox:1\nRUN mkdir /a && echo 1 > /a/f\nRUN rm /a/f && echo 2 > /a/g\n"
    directory = context(scratch, dockerfile)
    told = set()
    for kind in ("oci", "docker"):
        file = scratch / f"{kind}.tar"
        built = await build(command, directory, "-t", "team/app:1", "-o", f"type={kind},dest={file}")
        inspected = subprocess.run(
            ["skopeo", "inspect", "--config", f"{kind}-archive:{file}"], check=True, capture_output=True
        )
        assert len(json.loads(inspected.stdout)["rootfs"]["diff_ids"]) == 3
        told.add(json.loads(built.stdout)["image_id"])
    assert len(told) == 1
    podman = f"podman --root {scratch}/p --runroot {scratch}/r --storage-driver vfs".split()
    loaded = subprocess.run(
        [*podman, "load", "-q", "-i", str(scratch / "oci.tar")], check=True, capture_output=True, text=True
    )
    assert "team/app:1" in loaded.stdout
    await build(command, directory, "-o", scratch / "local")
    assert sorted(path.name for path in (scratch / "local/a").iterdir()) == ["g"]
    await build(
        command, directory, "--squash", "-t", "squashed:1", "-o", f"type=tar,dest={scratch / 'files.tar'}"
    )
    with tarfile.open(scratch / "files.tar") as tar:
        assert {name.strip("./") for name in tar.getnames()} >= {"a", "a/g", "bin/busybox"}
        assert "a/f" not in {name.strip("./") for name in tar.getnames()}


@pytest.mark.real("runc", "busybox")
@pytest.mark.slow
@pytest.mark.parametrize("phase", ["copying", "standard input", "a locked cache mount"])
async def test_ctrl_c_ends_every_phase_soon(scratch: Path, phase: str) -> None:
    command = ShoalCommand(scratch / "node")
    await import_base(command)
    directory = context(scratch, "FROM base/busybox:1\nCOPY large /\n")
    arguments, begun = [str(directory)], "COPY large"
    holder: subprocess.Popen[bytes] | None = None
    if phase == "copying":
        with (directory / "large").open("wb") as file:
            for _ in range(400):
                file.write(os.urandom(1 << 20))
    elif phase == "standard input":
        arguments, begun = ["-"], "load build definition"
    else:
        begun = "sharing=locked"
        (directory / "Dockerfile").write_text(
            "FROM base/busybox:1\nRUN --mount=type=cache,target=/c,sharing=locked true\n"
        )
        await build(command, directory)
        (lock,) = (scratch / "node/build/mounts").glob("*.lock")
        arguments = ["--no-cache", *arguments]
        holder = subprocess.Popen(["flock", lock, "sleep", "60"])
    with subprocess.Popen(
        [*SHOAL, "build", "--progress", "plain", *arguments],
        env=dict(os.environ, SHOAL_NODE_DATA_DIR=str(command.directory)),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as process:
        assert process.stderr is not None
        while begun.encode() not in (line := process.stderr.readline()):
            assert line, "it ended"
        await trio.sleep(0.3)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        status = await trio.to_thread.run_sync(process.wait)
    if holder is not None:
        holder.kill()
        holder.wait()
    assert status == 130
    assert time.monotonic() - began < 10
    assert left_behind(scratch) == []
