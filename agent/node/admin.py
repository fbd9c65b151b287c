"""`admin_handler`: the node's own calls, for `shoal` on the same machine, over a Unix socket that only its owner
may open.

GET /v1/status: status.py's object. POST /v1/pull {"reference": ..., "platform": ...}: lines of JSON, PullProgress as it
goes, the last one with "outcome": "done" or "failed" (then "error" and "kind", the class in the error tree).
POST /v1/fetch {"digest": ...}: a blob that the store lost; answered with "outcome" as above. POST /v1/names-changed:
another process has changed names of the cluster's own images in the store. GET /metrics.
A client that hangs up stops waiting for its pull; the downloads linger as anybody's do.
"""

import json
from typing import Any

import trio

from agent.content.digest import Digest
from agent.content.errors import InputError, ShoalError
from agent.content.platform import Platform
from agent.content.reference import Reference
from agent.http.request import Request
from agent.http.response import BodySink, Handler, Response, plain_response
from agent.node.fetching_again import fetch_again
from agent.node.node import Node
from agent.node.pull_progress import PullProgress
from agent.node.status import status_of
from agent.wire.tracker_calls import SwarmReport

_MAX_BODY_BYTES = 64 * 1024
_LINE_SECONDS = 0.1


def admin_handler(node: Node) -> Handler:
    async def handle(request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/v1/status":
                return _json(status_of(node))
            case "POST", "/v1/pull":
                reference, platform = _wanted(await request.read_body(_MAX_BODY_BYTES))
                return Response(
                    200, [("Content-Type", "application/x-ndjson")], _PullBody(node, reference, platform)
                )
            case "POST", "/v1/fetch":
                return _json(await _fetch(node, await request.read_body(_MAX_BODY_BYTES)))
            case "POST", "/v1/names-changed":
                await request.read_body(_MAX_BODY_BYTES)
                tell_what_is_here(node)
                return Response(204, [], b"")
            case "GET", "/metrics":
                content_type, page = node.metrics.render()
                return Response(200, [("Content-Type", content_type)], page)
            case _:
                return plain_response(404, "no such call")

    return handle


async def _fetch(node: Node, body: bytes) -> dict[str, Any]:
    try:
        digest = Digest.parse(json.loads(body)["digest"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError('expected {"digest": "sha256:..."}') from None
    try:
        await fetch_again(node, digest)
    except ShoalError as error:
        return {"outcome": "failed", "error": str(error), "kind": type(error).__name__}
    return {"outcome": "done"}


def tell_what_is_here(node: Node) -> None:
    """Another process has put images into the store: the cluster is told of the names, and of who has the bytes."""
    node.names.tell_all_soon()
    known = {
        name.digest for name in node.store.pushed.all() if not name.deleted and name.writer == node.key.node
    }
    for digest, size in node.store.needed_by(known):
        node.tracker.tell(SwarmReport(digest, size, complete=True))


def progress_line(progress: PullProgress) -> dict[str, Any]:
    """A PullProgress as JSON."""
    return {
        "reference": str(progress.reference),
        "digest": None if progress.digest is None else str(progress.digest),
        "stale": progress.stale,
        "was_here": progress.was_here,
        "layers": [
            {
                "digest": str(layer.digest),
                "size": layer.size,
                "state": layer.state,
                "done_bytes": layer.done_bytes,
                "registry_bytes": layer.registry_bytes,
                "peer_bytes": layer.peer_bytes,
            }
            for layer in progress.layers
        ],
    }


class _PullBody:
    def __init__(self, node: Node, reference: Reference, platform: Platform | None) -> None:
        self._node = node
        self._reference = reference
        self._platform = platform
        self._latest = PullProgress(reference)

    @property
    def length(self) -> None:
        return None

    async def send_to(self, sink: BodySink) -> None:
        outcome: dict[str, Any] = {"outcome": "done"}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._report, sink)
            try:
                await self._node.puller.pull(self._reference, self._platform, self._keep)
                # Whoever asked may read the layout next.
                if self._node.store.is_layout_behind:
                    await trio.to_thread.run_sync(self._node.store.publish_layout)
            except ShoalError as error:
                outcome = {"outcome": "failed", "error": str(error), "kind": type(error).__name__}
            nursery.cancel_scope.cancel()
        await _send_line(sink, progress_line(self._latest) | outcome)

    def _keep(self, progress: PullProgress) -> None:
        self._latest = progress

    async def _report(self, sink: BodySink) -> None:
        while True:
            await trio.sleep(_LINE_SECONDS)
            with trio.CancelScope(shield=True):  # a line is sent whole
                await _send_line(sink, progress_line(self._latest))


async def _send_line(sink: BodySink, value: dict[str, Any]) -> None:
    await sink.send(json.dumps(value).encode() + b"\n")
    await sink.flush()


def _wanted(body: bytes) -> tuple[Reference, Platform | None]:
    """Raises InputError."""
    try:
        wanted = json.loads(body)
        reference, platform = wanted["reference"], wanted.get("platform")
        assert isinstance(reference, str)
        assert platform is None or isinstance(platform, str)
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError):
        raise InputError('expected {"reference": "NAME[:TAG]", "platform": "OS/ARCH" or null}') from None
    return Reference.parse(reference), None if platform is None else Platform.parse(platform)


def _json(value: dict[str, Any]) -> Response:
    return Response(200, [("Content-Type", "application/json")], json.dumps(value).encode())
