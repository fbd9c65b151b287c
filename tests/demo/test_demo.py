"""`python -m tests.demo` as people run it: real processes, a summary, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from tests.clients.daemon import is_running
from tests.clients.registry import open_registry
from tests.clients.scratch import open_scratch
from tests.fakes.images import make_image, random_layer
from tests.fakes.publish import push_image

pytestmark = pytest.mark.slow

_KEYS = {"nodes", "seconds", "image_bytes", "registry_bytes", "registry_copies", "peer_bytes", "verified"}
_SMALL = ("--megabytes", "2", "--registry", "fake")


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A short path: the nodes' sockets are below it."""
    with open_scratch() as directory:
        yield directory


def _start(temporary: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    temporary.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "tests.demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"},
    )


async def _read_to_end(process: "subprocess.Popen[bytes]") -> str:
    output, _ = await trio.to_thread.run_sync(process.communicate)
    return output.decode()


async def test_every_node_gets_the_image_and_the_registry_gives_it_once(scratch: Path) -> None:
    process = _start(scratch / "tmp", *_SMALL, "--nodes", "2", "--json", str(scratch / "out.json"))
    output = await _read_to_end(process)
    assert process.returncode == 0, output
    summary = json.loads((scratch / "out.json").read_text())
    assert set(summary) == _KEYS
    assert summary["verified"]
    assert summary["nodes"] == 2
    assert summary["registry_copies"] <= 1.1
    assert summary["peer_bytes"] >= 0.8 * summary["image_bytes"]
    assert list((scratch / "tmp").iterdir()) == []


async def test_ctrl_c_stops_every_process_and_removes_what_was_written(scratch: Path) -> None:
    process = _start(scratch / "tmp", *_SMALL, "--nodes", "2")
    assert process.stdout is not None
    line = b""
    while b"registry" not in line:  # from here on there are processes
        line = await trio.to_thread.run_sync(process.stdout.readline)
        assert line
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert children
    process.send_signal(signal.SIGINT)
    with trio.fail_after(20):
        output = await _read_to_end(process)
    assert process.returncode == 130, output
    assert not any(is_running(int(child)) for child in children)
    assert list((scratch / "tmp").iterdir()) == []


async def test_a_node_that_cannot_pull_is_a_failure(scratch: Path) -> None:
    process = _start(scratch / "tmp", "--image", "127.0.0.1:9/no/image:here", "--nodes", "1")
    output = await _read_to_end(process)
    assert process.returncode == 1, output
    assert "node-1: SourceError" in output
    assert "Traceback" not in output


async def test_a_malformed_reference_is_told_before_anything_starts(scratch: Path) -> None:
    process = _start(scratch / "tmp", "--image", "UPPER/case")
    output = await _read_to_end(process)
    assert process.returncode == 2
    assert "invalid repository name" in output


@pytest.mark.real("registry")
async def test_the_real_registry_serves_five_nodes_one_copy(scratch: Path) -> None:
    process = _start(scratch / "tmp", "--registry", "docker-registry", "--json", str(scratch / "out.json"))
    output = await _read_to_end(process)
    assert process.returncode == 0, output
    summary = json.loads((scratch / "out.json").read_text())
    assert summary["verified"]
    assert summary["image_bytes"] > 50_000_000
    assert summary["registry_copies"] <= 1.1


@pytest.mark.real("registry")
async def test_any_image_may_be_named_and_its_bytes_are_counted_by_the_nodes(scratch: Path) -> None:
    image = make_image([random_layer(f"layer {number}", 3_000_000) for number in range(3)])
    async with open_registry(scratch / "registry") as registry:
        await push_image(image, registry.url, "team/app", "v1")
        named = f"{registry.authority}/team/app:v1"
        process = _start(
            scratch / "tmp", "--image", named, "--nodes", "3", "--json", str(scratch / "out.json")
        )
        output = await _read_to_end(process)
        assert process.returncode == 0, output
        sent = registry.blob_bytes()
    summary = json.loads((scratch / "out.json").read_text())
    assert summary["verified"]
    assert summary["image_bytes"] == image.size_bytes
    assert summary["registry_bytes"] == sent + image.manifest.size_bytes
