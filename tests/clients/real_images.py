"""Images as people make them, built on one node of a cluster and run by three engines on three others (root).

    python -m tests.clients.real_images --debian ROOT.tar [--only debian,python,c,node]

A Debian base with apt-get install, a Python application of two stages with pip and a cache mount, a C program compiled
in one stage and copied to scratch, a Node application. They are pushed nowhere: dockerd, containerd and podman pull
each from the node beside them, which fetches it from the builder. Needs a Debian root as a tar (debootstrap makes it),
its package sources and PyPI, so it is not among the tests; the same with a small image is (test_build.py).
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from tests.clients.command import run
from tests.clients.containerd import open_containerd
from tests.clients.docker_engine import open_docker_engine
from tests.clients.podman import Podman
from tests.clients.shoal_command import ShoalCommand
from tests.clients.shoal_node import ShoalNode, open_shoal, open_tracker

_NOBODY = "http://127.0.0.1:1"
_ENGINES = ("docker", "containerd", "podman")
_BUILD_SECONDS = 900.0


@dataclass(frozen=True)
class RealImage:
    """prints: what its container says. wheels: Python packages that the context brings along."""

    dockerfile: str
    prints: str
    files: Mapping[str, str] = field(default_factory=dict)
    wheels: tuple[str, ...] = ()


IMAGES = {
    "debian": RealImage(
        """\
FROM base/debian:12
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl && rm -rf /var/lib/apt/lists/*
CMD curl --version | cut -d' ' -f1 | head -n1; test -s /etc/ssl/certs/ca-certificates.crt && echo trusted
""",
        "curl\ntrusted\n",
    ),
    "python": RealImage(
        """\
FROM base/debian:12 AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/*
COPY wheels /wheels
RUN --mount=type=cache,target=/root/.cache/pip \\
    python3 -m venv /venv && /venv/bin/pip install --no-index --find-links /wheels httpx click
FROM base/debian:12
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
COPY --from=build /venv /venv
COPY app.py /app.py
USER nobody
CMD ["/venv/bin/python", "/app.py"]
""",
        "httpx and click, as nobody\n",
        {"app.py": "import getpass, click, httpx\nprint(f'httpx and click, as {getpass.getuser()}')\n"},
        ("httpx", "click"),
    ),
    "c": RealImage(
        """\
FROM base/debian:12 AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY hello.c /src/
RUN gcc -O2 -static -o /hello /src/hello.c
FROM scratch
COPY --from=build /hello /hello
ENTRYPOINT ["/hello"]
CMD ["world"]
""",
        "hello, world\n",
        {
            "hello.c": """\
#include <stdio.h>
int main(int count, char **words) { return printf("hello, %s\\n", words[count - 1]) < 0; }
""",
        },
    ),
    "node": RealImage(
        """\
FROM base/debian:12
RUN apt-get update && apt-get install -y --no-install-recommends nodejs && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json server.js ./
ENV GREETING=hello
CMD ["node", "server.js"]
""",
        "200 hello from node\n",
        {
            "package.json": '{"name": "app", "version": "1.0.0", "main": "server.js"}\n',
            "server.js": """\
const http = require('http');
const server = http.createServer((request, response) => response.end(`${process.env.GREETING} from node`));
server.listen('/tmp/socket', () => http.get({socketPath: '/tmp/socket'}, response => {
  response.on('data', body => console.log(response.statusCode, String(body)));
  response.on('end', () => server.close());
}));
""",
        },
    ),
}


@dataclass(frozen=True)
class Engine:
    """One beside a node of its own: pulls an image from it, and tells what a container of it printed."""

    name: str
    run: Callable[[str], Awaitable[str]]


@asynccontextmanager
async def open_cluster(root: Path) -> AsyncIterator[tuple[ShoalCommand, list[Engine]]]:
    """Commands on the node that builds, and the engines."""
    async with AsyncExitStack() as stack:
        tracker = await stack.enter_async_context(open_tracker(root / "tracker.log"))
        nodes = [
            await stack.enter_async_context(
                open_shoal(root / f"n-{name}", _NOBODY, command="agent", tracker_url=tracker.url)
            )
            for name in ("builder", *_ENGINES)
        ]
        engines = await open_engines(root, nodes[1:], stack)
        yield ShoalCommand(nodes[0].directory), engines


async def open_engines(root: Path, nodes: list[ShoalNode], stack: AsyncExitStack) -> list[Engine]:
    docker = await stack.enter_async_context(open_docker_engine(root / "docker"))
    containerd = await stack.enter_async_context(open_containerd(root / "containerd"))
    podman = Podman.in_directory(root / "podman")
    beside_docker, beside_containerd, beside_podman = [node.authority for node in nodes]

    async def in_docker(name: str) -> str:
        await docker.pull(f"{beside_docker}/{name}")
        return await docker.run_image(f"{beside_docker}/{name}")

    async def in_containerd(name: str) -> str:
        await containerd.ctr("images", "pull", "--plain-http", f"{beside_containerd}/{name}")
        return await containerd.run_image(f"{beside_containerd}/{name}")

    async def in_podman(name: str) -> str:
        await podman.pull(f"{beside_podman}/{name}", "--tls-verify=false")
        return await podman.run_image(f"{beside_podman}/{name}")

    return [
        Engine(name, run) for name, run in zip(_ENGINES, (in_docker, in_containerd, in_podman), strict=True)
    ]


async def write_context(directory: Path, image: RealImage) -> None:
    directory.mkdir()
    for name, text in {"Dockerfile": image.dockerfile, **image.files}.items():
        (directory / name).write_text(text)
    if image.wheels:
        download = (sys.executable, "-m", "pip", "download", "--quiet", "--dest", directory / "wheels")
        await run(*download, *image.wheels, deadline_seconds=600)


async def show(root: Path, tar: Path, only: list[str]) -> int:
    """Prints a line for each image and engine; how many did not print what they should."""
    wrong = 0
    async with open_cluster(root) as (builder, engines):
        await builder.shoal("import", str(tar), "base/debian:12", deadline_seconds=300)
        for name in only:
            image = IMAGES[name]
            await write_context(root / name, image)
            began = time.monotonic()
            built = await builder.shoal(
                *("build", "--json", "-t", f"team/{name}:1", root / name), deadline_seconds=_BUILD_SECONDS
            )
            digest = json.loads(built.stdout)["digest"]
            print(f"{name:10} {'built':12} {time.monotonic() - began:6.1f} s  {digest}", flush=True)
            for engine in engines:
                began = time.monotonic()
                printed = await engine.run(f"team/{name}:1")
                verdict = "as it should" if printed == image.prints else f"WRONG: {printed!r}"
                wrong += printed != image.prints
                print(f"{name:10} {engine.name:12} {time.monotonic() - began:6.1f} s  {verdict}", flush=True)
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.clients.real_images", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--debian", type=Path, required=True, help="a Debian root file system as a tar")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(IMAGES))
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="shoal-"))
    try:
        wrong = trio.run(show, root, arguments.debian, arguments.only)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
