"""The Dockerfile as text, and the health check that images are asked by."""

import re
import shlex
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import trio

from agent.http.listeners import bound_port, open_listeners
from agent.http.request import Request
from agent.http.response import Response, plain_response
from agent.http.server import serve_http
from agent.settings.address import TcpAddress
from tests.deploy.command_line import settings_of
from tests.deploy.files import DEPLOY, PROJECT

CONTAINER = DEPLOY / "container"


def instructions() -> list[tuple[str, str]]:
    """(INSTRUCTION, the rest), continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (CONTAINER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def arguments_of(instruction: str) -> list[str]:
    return [rest for name, rest in instructions() if name == instruction]


def in_context(path: str) -> bool:
    """The last pattern that matches decides; a pattern for a directory is one for what is in it."""
    wanted = True
    for line in (CONTAINER / "Dockerfile.dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if not line.startswith("#") and any(
            fnmatch(part, pattern) for part in (path, *map(str, Path(path).parents))
        ):
            wanted = line.startswith("!")
    return wanted


def test_everything_that_is_copied_is_there_and_not_ignored() -> None:
    sources = [
        source
        for rest in arguments_of("COPY")
        if not rest.startswith("--from=")
        for source in shlex.split(rest)[:-1]
        if source != "."
    ]
    assert sources
    for source in sources:
        assert (PROJECT / source).exists(), source
        assert in_context(source), source


def test_everything_that_the_package_is_built_from_reaches_the_build() -> None:
    for path in (
        "agent",
        "tracker",
        "registry_proxy",
        "builder",
        "shoal.py",
        "shoal_launch.py",
        "pyproject.toml",
        "README.md",
        "LICENSE",
    ):
        assert (PROJECT / path).exists(), path
        assert in_context(path), path


@pytest.mark.parametrize("path", [".git", ".venv", "tests", "deploy/compose/.env", "requirements-dev.lock"])
def test_nothing_else_does(path: str) -> None:
    assert not in_context(path)


def test_every_package_comes_with_its_hash() -> None:
    commands = [part for rest in arguments_of("RUN") for part in re.split(r"&&|\|\||;", rest)]
    installs = [command for command in commands if re.search(r"\bpip (install|wheel)\b", command)]
    assert len(installs) == 4
    for options in installs:
        assert "--require-hashes" in options or "--no-index" in options, options


def test_the_image_runs_as_nobody_in_particular_and_keeps_its_store_where_that_user_may_write() -> None:
    assert arguments_of("USER") == ["65532:65532"]
    variables = dict(pair.split("=", 1) for rest in arguments_of("ENV") for pair in shlex.split(rest))
    ours = {name: value for name, value in variables.items() if name.startswith("SHOAL_")}
    data_dir = settings_of(["agent"], environ=ours).node.data_dir
    assert f"-o shoal -g shoal -m 0750 {data_dir}" in " ".join(arguments_of("RUN"))


def test_the_image_asks_for_the_health_of_the_address_where_the_agent_listens() -> None:
    [check] = arguments_of("HEALTHCHECK")
    assert f"http://{settings_of(['agent']).proxy.listen}/v2/" in check


async def _answer(request: Request) -> Response:
    return plain_response(200 if request.path == "/v2/" else 503, "")


async def _ask(url: str) -> "tuple[int, str]":
    command = [sys.executable, "-I", "-S", str(CONTAINER / "healthcheck.py"), url]
    done = await trio.run_process(command, capture_stderr=True, check=False)
    return done.returncode, done.stderr.decode()


async def test_the_health_check_succeeds_on_200_alone() -> None:
    listeners = await open_listeners(TcpAddress("127.0.0.1", 0))
    url = f"http://127.0.0.1:{bound_port(listeners[0])}"
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: serve_http(_answer, listeners, task_status=task_status))
        assert await _ask(f"{url}/v2/") == (0, "")
        assert await _ask(f"{url}/healthz") == (1, f"{url}/healthz: status 503\n")
        nursery.cancel_scope.cancel()
    code, told = await _ask(url)
    assert code == 1
    assert "refused" in told
    assert "Traceback" not in told
