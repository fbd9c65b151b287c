"""A node's registry endpoint as a client of the specification sees it: real HTTP, a real store, no upstream at all."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import trio

from agent.content.digest import Digest
from agent.content.media_types import OCI_INDEX, OCI_MANIFEST
from agent.http.listeners import bound_port, open_listeners
from agent.http.server import serve_http
from agent.node.node import Node, open_node
from agent.settings.address import TcpAddress
from agent.telemetry.metrics import Metrics
from registry_proxy.app import failure_response, registry_handler
from registry_proxy.serving import push_side
from registry_proxy.upstreams import UpstreamRules
from tests.agent.node.cluster import IMPATIENT, REGISTRY, node_settings

NOBODY = "http://127.0.0.1:1"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"


@asynccontextmanager
async def open_pushable(data_dir: Path, tracker_url: str = "", **more: str) -> AsyncIterator[Node]:
    settings = node_settings(data_dir, NOBODY, tracker_url, **more)
    async with open_node(settings, Metrics([REGISTRY]), patience=IMPATIENT) as node:
        yield node


@asynccontextmanager
async def open_endpoint(node: Node) -> AsyncIterator["Client"]:
    """A client of it, whose default upstream is REGISTRY."""
    listeners = await open_listeners(TcpAddress("127.0.0.1", 0))
    rules = UpstreamRules(frozenset({REGISTRY}), REGISTRY)
    handler = registry_handler(node.images, rules, pushes=push_side(node))

    async def serve(task_status: trio.TaskStatus[object]) -> None:
        await serve_http(handler, listeners, on_failure=failure_response, task_status=task_status)

    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        url = f"http://127.0.0.1:{bound_port(listeners[0])}"
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            yield Client(http)
        nursery.cancel_scope.cancel()


@dataclass(frozen=True)
class Manifest:
    body: bytes
    media_type: str = OCI_MANIFEST
    algorithm: str = "sha256"
    blobs: tuple[bytes, ...] = field(default=())

    @property
    def digest(self) -> Digest:
        return Digest.of(self.body, self.algorithm)

    @property
    def descriptor(self) -> dict[str, object]:
        return {"mediaType": self.media_type, "digest": str(self.digest), "size": len(self.body)}


def described(data: bytes, media_type: str, algorithm: str = "sha256") -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of(data, algorithm)), "size": len(data)}


def manifest_of(*layers: bytes, algorithm: str = "sha256", **more: object) -> Manifest:
    """An image of these layers; `more` are other fields of the document."""
    config = json.dumps({"os": "linux", "architecture": "amd64", "layers": len(layers)}).encode()
    value = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": described(config, CONFIG, algorithm),
        "layers": [described(layer, LAYER, algorithm) for layer in layers],
    }
    return Manifest(json.dumps(value | more).encode(), OCI_MANIFEST, algorithm, (config, *layers))


def artifact_of(kind: str, subject: Manifest, **more: object) -> Manifest:
    """An artifact without content that refers to `subject`."""
    value = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": kind,
        "config": described(b"{}", EMPTY),
        "layers": [],
        "subject": subject.descriptor,
    }
    return Manifest(json.dumps(value | more).encode(), OCI_MANIFEST, "sha256", (b"{}",))


def index_of(*children: Manifest, **more: object) -> Manifest:
    value = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [child.descriptor for child in children],
    }
    return Manifest(json.dumps(value | more).encode(), OCI_INDEX)


@dataclass(frozen=True)
class Client:
    http: httpx.AsyncClient

    async def call(
        self, method: str, path: str, *, content: bytes | None = None, **headers: str
    ) -> httpx.Response:
        """`path` after /v2/, or whole; a header's name has _ for -."""
        target = path if path.startswith("/") else f"/v2/{path}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, target, content=content, headers=named)

    async def push_blob(self, data: bytes, name: str = "team/app", algorithm: str = "sha256") -> Digest:
        digest = Digest.of(data, algorithm)
        answer = await self.call("POST", f"{name}/blobs/uploads/?digest={digest}", content=data)
        assert answer.status_code == 201, answer.text
        return digest

    async def put_manifest(
        self, manifest: Manifest, reference: str = "", name: str = "team/app"
    ) -> httpx.Response:
        """By its digest where no tag is given."""
        path = f"{name}/manifests/{reference or manifest.digest}"
        return await self.call("PUT", path, content=manifest.body, Content_Type=manifest.media_type)

    async def push(self, manifest: Manifest, reference: str = "", name: str = "team/app") -> Manifest:
        """With its blobs."""
        for blob in manifest.blobs:
            await self.push_blob(blob, name, manifest.algorithm)
        answer = await self.put_manifest(manifest, reference, name)
        assert answer.status_code == 201, answer.text
        return manifest

    async def begin(self, name: str = "team/app") -> str:
        answer = await self.call("POST", f"{name}/blobs/uploads/")
        assert answer.status_code == 202, answer.text
        return answer.headers["location"]


def code_of(answer: httpx.Response) -> str:
    [error] = answer.json()["errors"]
    assert set(error) == {"code", "message", "detail"}
    return str(error["code"])
