"""Upstreams that want credentials: the node has them, its clients have none and are never asked for any."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.clients.command import CommandFailed, run
from tests.clients.containerd import open_containerd
from tests.clients.registry import (
    HTPASSWD_PASSWORD,
    HTPASSWD_USER,
    Registry,
    basic_auth,
    open_registry,
)
from tests.clients.shoal_node import REGISTRY, ShoalNode, open_shoal
from tests.clients.skopeo import Skopeo
from tests.clients.token_server import TokenServer, open_token_server
from tests.fakes.images import GREETING, Image, random_layer, runnable_image
from tests.fakes.publish import push_image, write_layout

DOCKER_HUB = "https://index.docker.io/v1/"  # as `docker login` names it
REFERENCES = ("docker.io/school/fish:latest", f"{REGISTRY}/school/fish:latest")
WRONG_PASSWORD = "open-sesame-1234"


def image() -> Image:
    return runnable_image([random_layer("auth", 300_000)])


def docker_config(file: Path, password: str) -> Path:
    """As `docker login` writes it, for both registries of the node."""
    entry = {"auth": base64.b64encode(f"{HTPASSWD_USER}:{password}".encode()).decode()}
    file.write_text(json.dumps({"auths": {DOCKER_HUB: entry, REGISTRY: entry}}))
    return file


@asynccontextmanager
async def open_node(
    scratch: Path, registry: Registry, password: str = HTPASSWD_PASSWORD
) -> AsyncIterator[ShoalNode]:
    config = docker_config(scratch / "config.json", password)
    async with open_shoal(
        scratch / "shoal", registry.url, credentials__docker_config=str(config), log__level="debug"
    ) as node:
        yield node


@pytest.fixture
async def htpasswd_registry(scratch: Path) -> AsyncIterator[Registry]:
    async with open_registry(scratch / "registry", auth="htpasswd") as registry:
        await push_image(image(), registry.url, "school/fish", "latest", headers=basic_auth())
        yield registry


@pytest.fixture
async def token_registry(scratch: Path) -> AsyncIterator[tuple[Registry, TokenServer]]:
    write_layout(image(), scratch / "layout", "fish")
    with open_token_server({HTPASSWD_USER: HTPASSWD_PASSWORD}) as tokens:
        async with open_registry(scratch / "registry", auth=tokens) as registry:
            pusher = Skopeo.in_directory(scratch / "pusher", insecure=(registry.authority,))
            login = ["--dest-creds", f"{HTPASSWD_USER}:{HTPASSWD_PASSWORD}"]
            target = f"docker://{registry.authority}/school/fish:latest"
            await pusher.skopeo("copy", *login, f"oci:{scratch}/layout:fish", target)
            tokens.requests.clear()
            yield registry, tokens


async def skopeo_copies(scratch: Path, node: ShoalNode) -> None:
    """Without credentials, from both registries."""
    skopeo = Skopeo.in_directory(scratch / "skopeo", mirrors=node.mirrors("docker.io", REGISTRY))
    for number, reference in enumerate(REFERENCES):
        await skopeo.copy_to_directory(reference, scratch / f"copy{number}")


def assert_no_secret(node: ShoalNode, *more: str) -> None:
    log = node.daemon.log_text()
    for password in (HTPASSWD_PASSWORD, WRONG_PASSWORD, *more):
        assert password not in log
        assert base64.b64encode(f"{HTPASSWD_USER}:{password}".encode()).decode() not in log


async def answer_of(node: ShoalNode, path: str) -> tuple[int, Any]:
    """Status and JSON of a GET without credentials."""
    output = await run("curl", "--silent", "--write-out", "\n%{http_code}", f"{node.url}{path}")
    body, _, status = output.stdout.rpartition("\n")
    return int(status), json.loads(body)


@pytest.mark.real("registry", "skopeo", "containerd", "busybox")
async def test_a_registry_with_passwords_is_read_with_the_nodes_own(
    scratch: Path, htpasswd_registry: Registry
) -> None:
    async with (
        open_node(scratch, htpasswd_registry) as node,
        open_containerd(scratch / "containerd") as containerd,
    ):
        await skopeo_copies(scratch, node)
        containerd.use_mirror("docker.io", node.url)
        await containerd.pull(REFERENCES[0])
        assert (await containerd.run_image(REFERENCES[0])).strip() == GREETING
        assert_no_secret(node)


@pytest.mark.real("registry", "skopeo", "busybox")
async def test_a_registry_with_tokens_is_read_with_the_nodes_own(
    scratch: Path, token_registry: tuple[Registry, TokenServer]
) -> None:
    registry, tokens = token_registry
    async with open_node(scratch, registry) as node:
        await skopeo_copies(scratch, node)
        assert {request.user for request in tokens.requests} == {HTPASSWD_USER}
        assert {scope for request in tokens.requests for scope in request.scopes} == {
            "repository:school/fish:pull"
        }
        assert_no_secret(node, "eyJ")  # how every token begins


@pytest.mark.real("registry", "skopeo", "curl", "busybox")
async def test_a_refused_node_tells_its_clients_what_is_wrong_and_asks_them_for_nothing(
    scratch: Path, htpasswd_registry: Registry
) -> None:
    digest = image().blobs[0].digest
    async with open_node(scratch, htpasswd_registry, WRONG_PASSWORD) as node:
        for path in ("manifests/latest", f"blobs/{digest}"):
            status, body = await answer_of(node, f"/v2/school/fish/{path}")
            assert status == 403
            assert body["errors"][0]["code"] == "DENIED"
            assert "docker.io" in body["errors"][0]["message"]
        skopeo = Skopeo.in_directory(scratch / "skopeo", mirrors=node.mirrors(REGISTRY))
        with pytest.raises(CommandFailed, match=r"denied: \S+ refuses the credentials"):
            await skopeo.copy_to_directory(REFERENCES[1], scratch / "copy")
        assert_no_secret(node)


@pytest.mark.real("registry", "skopeo", "curl", "busybox")
async def test_a_node_whose_token_is_refused_says_so_too(
    scratch: Path, token_registry: tuple[Registry, TokenServer]
) -> None:
    registry, _ = token_registry
    async with open_node(scratch, registry, WRONG_PASSWORD) as node:
        status, body = await answer_of(node, f"/v2/{REGISTRY}/school/fish/manifests/latest")
        assert status == 403
        assert body["errors"][0]["code"] == "DENIED"
        assert REGISTRY in body["errors"][0]["message"]
        assert_no_secret(node)
