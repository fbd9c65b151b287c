"""`tracker_handler`: the tracker's calls over HTTP, for any server that takes a Handler.

POST /v1/announce, /v1/resolve, /v1/resolved, and of the cluster's own images /v1/publish, /v1/find, /v1/names,
/v1/replicate (msgpack both ways); GET /healthz, /metrics, /status (JSON).
Invariant: nothing that a caller sends is looked at before it has passed its Shape, and no body is longer than
MAX_CALL_BYTES. There is no await between reading a call and answering it, so calls never see each other half done.
"""

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from agent.content.errors import InputError
from agent.http.request import Request
from agent.http.response import Handler, Response, plain_response
from agent.telemetry.tracker_metrics import ResolveOutcome, TrackerMetrics
from agent.wire.push_calls import (
    FIND,
    FIND_ANSWER,
    NAMES,
    NAMES_ANSWER,
    PUBLISH,
    PUBLISH_ANSWER,
    REPLICATE,
    REPLICATE_ANSWER,
)
from agent.wire.shape import Malformed, Shape
from agent.wire.tracker_calls import (
    ANNOUNCE,
    ANNOUNCE_ANSWER,
    MAX_CALL_BYTES,
    RESOLVE,
    RESOLVE_ANSWER,
    RESOLVED,
    ResolveAnswer,
    decode_call,
    encode_call,
)
from tracker.directory.status import snapshot
from tracker.directory.tracker import Tracker
from tracker.metering import Meter

T = TypeVar("T")

_MSGPACK = "application/msgpack"
_MAX_RESOLVE_BYTES = 64 * 1024
_MAX_REPLICATE_BYTES = 2 * 1024 * 1024


def tracker_handler(tracker: Tracker, metrics: TrackerMetrics, now: Callable[[], float]) -> Handler:
    """`now`: the clock that the tracker's timers run by, too."""
    calls = _Calls(tracker, metrics, now)
    routes: dict[str, tuple[str, Callable[[Request], Awaitable[Response]]]] = {
        "/v1/announce": ("POST", calls.announce),
        "/v1/resolve": ("POST", calls.resolve),
        "/v1/resolved": ("POST", calls.resolved),
        "/v1/publish": ("POST", calls.publish),
        "/v1/find": ("POST", calls.find),
        "/v1/names": ("POST", calls.names),
        "/v1/replicate": ("POST", calls.replicate),
        "/healthz": ("GET", calls.healthz),
        "/metrics": ("GET", calls.metrics_page),
        "/status": ("GET", calls.status),
    }

    async def handle(request: Request) -> Response:
        route = routes.get(request.path)
        if route is None:
            return plain_response(404, "no such call: this is a Shoal tracker")
        method, answer = route
        if request.method != method and (request.method, method) != ("HEAD", "GET"):
            return plain_response(405, f"{request.path} takes {method}", (("Allow", method),))
        try:
            return await answer(request)
        except InputError:
            metrics.count_rejected_call()
            raise

    return handle


class _Calls:
    def __init__(self, tracker: Tracker, metrics: TrackerMetrics, now: Callable[[], float]) -> None:
        self._tracker = tracker
        self._metrics = metrics
        self._now = now
        self._meter = Meter(tracker, metrics)
        self._began = now()

    async def announce(self, request: Request) -> Response:
        call = await _read(request, ANNOUNCE, MAX_CALL_BYTES)
        self._metrics.count_announce()
        answer = self._tracker.on_announce(call, source_host(request), self._now())
        return _packed(encode_call(ANNOUNCE_ANSWER, answer))

    async def resolve(self, request: Request) -> Response:
        call = await _read(request, RESOLVE, _MAX_RESOLVE_BYTES)
        answer = self._tracker.on_resolve(call, self._now())
        self._metrics.count_resolve(_outcome(answer))
        return _packed(encode_call(RESOLVE_ANSWER, answer))

    async def resolved(self, request: Request) -> Response:
        call = await _read(request, RESOLVED, _MAX_RESOLVE_BYTES)
        self._tracker.on_resolved(call, self._now())
        return Response(204)

    async def publish(self, request: Request) -> Response:
        call = await _read(request, PUBLISH, MAX_CALL_BYTES)
        return _packed(encode_call(PUBLISH_ANSWER, self._tracker.on_publish(call, time.time())))

    async def find(self, request: Request) -> Response:
        call = await _read(request, FIND, _MAX_RESOLVE_BYTES)
        answer = replace(self._tracker.on_find(call), tracker_seconds=self._now() - self._began)
        return _packed(encode_call(FIND_ANSWER, answer))

    async def names(self, request: Request) -> Response:
        call = await _read(request, NAMES, _MAX_RESOLVE_BYTES)
        answer = replace(self._tracker.on_names(call), tracker_seconds=self._now() - self._began)
        return _packed(encode_call(NAMES_ANSWER, answer))

    async def replicate(self, request: Request) -> Response:
        call = await _read(request, REPLICATE, _MAX_REPLICATE_BYTES)
        return _packed(encode_call(REPLICATE_ANSWER, self._tracker.on_replicate(call, self._now())))

    async def healthz(self, request: Request) -> Response:  # noqa: ARG002 (a route)
        return plain_response(200, "ok")

    async def metrics_page(self, request: Request) -> Response:  # noqa: ARG002 (a route)
        content_type, page = self._metrics.render()
        return Response(200, [("Content-Type", content_type)], page)

    async def status(self, request: Request) -> Response:  # noqa: ARG002 (a route)
        body = json.dumps(snapshot(self._tracker, self._now()), indent=1).encode()
        return Response(200, [("Content-Type", "application/json")], body + b"\n")


def source_host(request: Request) -> str:
    """The IP address a call comes from; "" where it comes by a Unix socket, from this machine."""
    if request.peer.kind != "tcp":
        return ""
    host = request.peer.address.rpartition(":")[0].removeprefix("[").removesuffix("]")
    return host.partition("%")[0]  # the interface of a link-local address


async def _read(request: Request, shape: Shape[T], limit_bytes: int) -> T:
    """Raises InputError."""
    body = await request.read_body(limit_bytes)
    try:
        return decode_call(shape, body)
    except Malformed as error:
        raise InputError(f"malformed call: {error}") from None


def _packed(body: bytes) -> Response:
    return Response(200, [("Content-Type", _MSGPACK)], body)


def _outcome(answer: ResolveAnswer) -> ResolveOutcome:
    if answer.lease:
        return "leased"
    if answer.record is not None or answer.not_found:
        return "known"
    return "error" if answer.failure else "waiting"
