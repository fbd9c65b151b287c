"""`serve_mirror`: everything a running node answers over HTTP: the registry endpoint for container engines, the admin
socket for `shoal` on the same machine, and /metrics.
"""

from collections.abc import Awaitable, Callable

import trio

from agent.http.listeners import bound_port, open_listeners
from agent.http.request import Request
from agent.http.response import Handler, Response
from agent.http.server import HttpServer, serve_http
from agent.node.admin import admin_handler
from agent.node.node import Node
from agent.settings.address import Address, TcpAddress, UnixAddress
from agent.telemetry.logs import get_log
from registry_proxy.app import failure_response, registry_handler
from registry_proxy.metering import RequestMeter
from registry_proxy.pushes import DeleteRules, PushSide
from registry_proxy.upstreams import UpstreamRules

_GRACE_SECONDS = 5.0
_log = get_log("shoal")


async def serve_mirror(
    node: Node, on_ready: Callable[[Address], None], wait_stop: Callable[[], Awaitable[None]]
) -> None:
    """Until `wait_stop` returns; what is under way then has a few seconds to end. `on_ready` is told where the mirror
    listens. Raises DiskError where one of the addresses is taken."""
    settings = node.settings
    rules = UpstreamRules(
        frozenset(upstream.registry for upstream in settings.upstreams), settings.proxy.default_upstream
    )
    meter = RequestMeter(node.metrics, node.traffic)
    registry = registry_handler(node.images, rules, meter, pushes=push_side(node))
    async with trio.open_nursery() as nursery:
        servers: list[HttpServer] = []
        mirror = await _open(settings.proxy.listen, _mirror_handler(node, registry), nursery, servers)
        await _open(UnixAddress(settings.admin.socket), admin_handler(node), nursery, servers)
        if settings.admin.metrics_listen is not None:
            await _open(settings.admin.metrics_listen, _metrics_handler(node), nursery, servers)
        _log.info("mirror up", listen=mirror)
        on_ready(mirror)
        await wait_stop()
        _log.info("stopping")
        for server in servers:
            server.stop(_GRACE_SECONDS)


def push_side(node: Node) -> PushSide:
    push = node.settings.push
    deletes = DeleteRules(push.delete_tags, push.delete_manifests, push.delete_blobs)
    return PushSide(node.uploading, node.manifest_pushes, node.names, node.images, deletes)


async def _open(
    address: Address, handler: Handler, nursery: trio.Nursery, servers: list[HttpServer]
) -> Address:
    """Serve there; the address with the port that was bound."""
    listeners = await open_listeners(address)
    servers.append(await nursery.start(_serve_http, handler, listeners))
    if isinstance(address, TcpAddress):
        return TcpAddress(address.host, bound_port(listeners[0]))
    return address


async def _serve_http(
    handler: Handler,
    listeners: list[trio.abc.Listener[trio.SocketStream]],
    *,
    task_status: trio.TaskStatus[HttpServer],
) -> None:
    await serve_http(handler, listeners, on_failure=failure_response, task_status=task_status)


def _mirror_handler(node: Node, registry: Handler) -> Handler:
    metrics = _metrics_handler(node)
    own = node.settings.admin.metrics_listen is None

    async def handle(request: Request) -> Response:
        return await (metrics if own and request.path == "/metrics" else registry)(request)

    return handle


def _metrics_handler(node: Node) -> Handler:
    async def handle(_: Request) -> Response:
        content_type, page = node.metrics.render()
        return Response(200, [("Content-Type", content_type)], page)

    return handle
