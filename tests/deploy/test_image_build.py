"""The container image, built for real and run as compose.yaml runs it, on Debian and with the engine's own BuildKit."""

import json
import os
import ssl
from pathlib import Path

import pytest
import trio

from tests.clients.docker_engine import DockerEngine, open_docker_engine
from tests.clients.scratch import open_scratch
from tests.deploy.base_image import import_debian
from tests.deploy.files import PROJECT

BASE, IMAGE = "debian-base", "shoal"
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true", "--health-interval=1s")


@pytest.mark.real("docker", "debootstrap")
async def test_the_image_builds_on_debian_and_runs_as_agent_and_as_tracker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_BUILDKIT", "1")
    with open_scratch() as scratch:
        async with open_docker_engine(scratch / "docker") as engine:
            await import_debian(engine, scratch, BASE)
            await build(engine)
            assert (await engine.run_image(IMAGE, "--version")).startswith("shoal, version ")
            await run_agent_and_tracker(engine)


async def build(engine: DockerEngine) -> None:
    """With the package index and certificates that this machine's own pip uses."""
    certificates = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile
    options = ["--network=host", "--build-arg", f"BASE={BASE}"]
    if certificates and Path(certificates).is_file():
        options += ["--secret", f"id=ca,src={certificates}"]
    if index := os.environ.get("PIP_INDEX_URL"):
        options += ["--build-arg", f"PIP_INDEX_URL={index}"]
    dockerfile = PROJECT / "deploy/container/Dockerfile"
    await engine.docker(
        "build", *options, "--tag", IMAGE, "--file", dockerfile, PROJECT, deadline_seconds=240
    )


async def run_agent_and_tracker(engine: DockerEngine) -> None:
    """Both on one loopback, as on a machine by itself."""
    await start(
        engine,
        "agent",
        ["--network=none", "--tmpfs=/tmp", "--volume=store:/var/lib/shoal"],
        ["--tracker-url=http://127.0.0.1:5052"],
    )
    health = "/opt/shoal/bin/python /opt/shoal/healthcheck.py http://127.0.0.1:5052/healthz"
    await start(engine, "tracker", ["--network=container:agent", f"--health-cmd={health}"], [])
    for name in ("agent", "tracker"):
        await wait_healthy(engine, name)
        assert (await engine.docker("exec", name, "id", "-u")).stdout.strip() == "65532"
    nodes = await wait_nodes(engine)
    assert len(nodes) == 1
    await engine.docker("stop", "tracker", "agent")
    for name in ("agent", "tracker"):
        state = await engine.docker("inspect", "--format", "{{.State.ExitCode}}", name)
        assert state.stdout.strip() == "0"


async def start(engine: DockerEngine, role: str, options: list[str], flags: list[str]) -> None:
    await engine.docker("run", "--detach", f"--name={role}", *HARDENED, *options, IMAGE, role, *flags)


async def wait_healthy(engine: DockerEngine, name: str) -> None:
    with trio.move_on_after(30):
        while True:
            health = await engine.docker("inspect", "--format", "{{json .State.Health}}", name)
            if json.loads(health.stdout)["Status"] == "healthy":
                return
            await trio.sleep(0.2)
    log = await engine.docker("logs", name)
    raise AssertionError(f"{name} did not become healthy: {health.stdout}{log.stdout}{log.stderr}")


async def wait_nodes(engine: DockerEngine) -> list[object]:
    """The nodes that the tracker knows, once it knows one."""
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:5052/status').read().decode())"
    with trio.move_on_after(30):
        while True:
            status = await engine.docker("exec", "tracker", "/opt/shoal/bin/python", "-c", ask)
            if nodes := json.loads(status.stdout)["nodes"]:
                return list(nodes)
            await trio.sleep(0.2)
    raise AssertionError(f"no node has reported: {status.stdout}")
