"""The plan's image beside what a real BuildKit made of the same file.

Docker 20.10 has a BuildKit of 2020: it prints HEALTHCHECK and EXPOSE otherwise, leaves values and owners out of some
lines of the history, and keeps a null OnBuild. The file has none of these but for what is said in the test.
"""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.image_config import parse_image_config
from builder.dockerfile.parser import parse_dockerfile
from builder.plan.layer import Layer
from builder.plan.options import BaseImage, ImageRequest
from builder.plan.plan import Plan
from builder.plan.planner import make_plan
from tests.builder.plan.planning import AMD64, options, titles
from tests.clients.command import run
from tests.clients.docker_engine import DockerEngine, open_docker_engine

DOCKERFILE = """\
ARG V=1
FROM base:$V AS build
ARG X=1
ENV Z=$X/q "Q R"=s
LABEL l1="one two" l2=$X
WORKDIR rel
WORKDIR sub/
RUN echo "$X" > /x
RUN ["/bin/busybox", "touch", "/y"]
COPY a b ./
ADD a /z/
VOLUME /v /w
VOLUME ["/u"]
USER 0:1
STOPSIGNAL SIGTERM
CMD echo "hi \\"there"
ENTRYPOINT ["a", "é\\t"]
FROM base:1
USER 0
SHELL ["/bin/sh", "-ec"]
ARG A
ENV A=2
ARG B=3
RUN echo "$A$B" > /x
COPY --from=build /x /xx
WORKDIR /
CMD ["c"]
ENTRYPOINT b c
"""


@pytest.mark.slow
@pytest.mark.real("docker", "busybox")
async def test_the_image_is_the_one_that_buildkit_makes(scratch: Path) -> None:
    context = scratch / "context"
    context.mkdir()
    for name, content in (("a", "a"), ("b", "b"), ("Dockerfile", DOCKERFILE)):
        (context / name).write_text(content)
    async with open_docker_engine(scratch / "docker") as engine:
        await _import_base(engine, scratch)
        build: list[str | Path] = [
            "build",
            "--network",
            "none",
            "--progress",
            "plain",
            "-t",
            "built",
            context,
        ]
        shown = await _with_buildkit(engine, build)
        base, built = [await _config(engine, scratch, name) for name in ("base:1", "built")]
    plan = _plan(base)
    own = [title for title in titles(plan) if "] FROM " not in title]  # it shows an image once
    assert [title for title in own if title not in shown] == []
    found = plan.image.config(_results(plan, base, built))
    assert _comparable(found) == _comparable(built)


async def _import_base(engine: DockerEngine, scratch: Path) -> None:
    archive = scratch / "base.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add("/bin/busybox", "bin/busybox", filter=_as_root)
        link = tarfile.TarInfo("bin/sh")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(link)
        for name, line in (("etc/passwd", b"root:x:0:0::/:/bin/sh\n"), ("etc/group", b"root:x:0:\n")):
            entry = tarfile.TarInfo(name)
            entry.size = len(line)
            tar.addfile(entry, io.BytesIO(line))
    changes = ["-c", "ENV FOO=base", "-c", 'CMD ["sh"]', "-c", "LABEL a=b"]
    await engine.docker("import", *changes, archive, "base:1")


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    return entry


async def _with_buildkit(engine: DockerEngine, command: list[str | Path]) -> str:
    """What it shows while it builds."""
    environment = {"DOCKER_HOST": f"unix://{engine.socket}", "DOCKER_BUILDKIT": "1"}
    return (await run("/usr/bin/docker", *command, environment=environment)).stderr


async def _config(engine: DockerEngine, scratch: Path, name: str) -> dict[str, Any]:
    archive = scratch / "saved.tar"
    await engine.docker("save", "-o", archive, name)
    with tarfile.open(archive) as tar:
        manifest = json.loads(_member(tar, "manifest.json"))
        config: dict[str, Any] = json.loads(_member(tar, manifest[0]["Config"]))
    return config


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()


def _plan(base: dict[str, Any]) -> Plan:
    config = parse_image_config(json.dumps(base).encode())
    layers = tuple(_layer(digest) for digest in config.diff_ids)
    image = BaseImage("base:1", AMD64, config, layers)
    plan = make_plan(parse_dockerfile(DOCKERFILE.encode()), options(), {ImageRequest("base:1", AMD64): image})
    assert isinstance(plan, Plan)
    return plan


def _results(plan: Plan, base: dict[str, Any], built: dict[str, Any]) -> dict[int, Layer | None]:
    """BuildKit's layers and their times, for the steps that have made them."""
    times = [one["created"] for one in built["history"] if not one.get("empty_layer")]
    below = len(base["rootfs"]["diff_ids"])
    made = zip(built["rootfs"]["diff_ids"][below:], times[below:], strict=True)
    layers = [_layer(Digest.parse(text), time) for text, time in made]
    return dict(zip(plan.image.steps, layers, strict=True))


def _layer(digest: Digest, created: str | None = None) -> Layer:
    return Layer(Descriptor("application/octet-stream", digest, 1), digest, created=created)


def _comparable(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "config": {key: value for key, value in document["config"].items() if value}}
