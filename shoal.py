"""The `shoal` command: the one place that composes agent, registry proxy, tracker and builder.

Each of them brings its own `commands.py`; this module mounts them, and adds the commands that run several together:
`agent` (a node with its registry endpoint) and `up` (the same with a tracker inside).
"""

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import click
import trio

from agent.commands import COMMANDS
from agent.commands.running import config_flag, load, run_async, wait_stop_signal
from agent.http.listeners import bound_port, open_listeners
from agent.http.request import Request
from agent.http.response import Handler, Response
from agent.http.server import HttpServer, serve_http
from agent.node.admin import admin_handler
from agent.node.node import Node, open_node
from agent.settings.address import Address, TcpAddress, UnixAddress
from agent.settings.flags import settings_flags
from agent.settings.settings import Settings
from agent.telemetry.logs import get_log
from agent.telemetry.metrics import Metrics
from agent.telemetry.page import MetricsPage
from agent.telemetry.tracker_metrics import TrackerMetrics
from registry_proxy.app import failure_response, registry_handler
from registry_proxy.metering import RequestMeter
from registry_proxy.upstreams import UpstreamRules
from tracker.commands import tracker
from tracker.server import new_tracker, run_tracker

_GRACE_SECONDS = 5.0
_log = get_log("shoal")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="shoal", prog_name="shoal")
def main() -> None:
    """Container images that move the way a shoal moves."""


@main.command()
@config_flag
@settings_flags()
def agent(config_file: Path | None, **flags: object) -> None:
    """Run a node: local store, registry mirror, peer in the swarm.

    Example: shoal agent --tracker-url http://10.0.0.1:5052 --peer-listen 10.0.0.7:5051 --security-insecure-cluster
    """
    run_async(serve_node, load(config_file, flags), False, _no_words)


@main.command()
@config_flag
@settings_flags()
def up(config_file: Path | None, **flags: object) -> None:
    """Run a single node with a tracker inside: a mirror for this machine, and the first node of a cluster.

    Example: shoal up --proxy-listen 127.0.0.1:5050
    """
    run_async(serve_node, load(config_file, flags), True, _show_configuration)


for command in (*COMMANDS, tracker):
    main.add_command(command)


async def serve_node(
    settings: Settings, with_tracker: bool, on_ready: Callable[[Settings, str], None]
) -> None:
    """Until SIGTERM or SIGINT. `with_tracker`: run one inside where the configuration names none."""
    page = MetricsPage(version("shoal"))
    metrics = Metrics([upstream.registry for upstream in settings.upstreams], page)
    async with trio.open_nursery() as outer:
        if with_tracker and not settings.tracker.url:
            settings = await _start_tracker(settings, page, outer)
        async with open_node(settings, metrics) as node:
            await _serve(node, on_ready)
        outer.cancel_scope.cancel()


async def _start_tracker(settings: Settings, page: MetricsPage, nursery: trio.Nursery) -> Settings:
    """The settings with the URL of the tracker that runs from here on."""
    listeners = await open_listeners(settings.tracker.listen)
    await nursery.start(run_tracker, listeners, new_tracker(settings.security.cluster), TrackerMetrics(page))
    listen = settings.tracker.listen
    if not isinstance(listen, TcpAddress):
        raise click.UsageError(
            "tracker.listen of `shoal up` must be HOST:PORT: the node inside reaches it there"
        )
    host = "127.0.0.1" if listen.is_wildcard else listen.host
    url = f"http://{TcpAddress(host, bound_port(listeners[0]))}"
    return replace(settings, tracker=replace(settings.tracker, url=url))


async def _serve(node: Node, on_ready: Callable[[Settings, str], None]) -> None:
    """The registry endpoint, the admin socket and the metrics, until a signal; then a graceful end."""
    settings = node.settings
    rules = UpstreamRules(
        frozenset(upstream.registry for upstream in settings.upstreams), settings.proxy.default_upstream
    )
    registry = registry_handler(node.images, rules, RequestMeter(node.metrics, node.traffic))
    async with trio.open_nursery() as nursery:
        servers: list[HttpServer] = []
        mirror = await _open(settings.proxy.listen, _mirror_handler(node, registry), nursery, servers)
        await _open(UnixAddress(settings.admin.socket), admin_handler(node), nursery, servers)
        if settings.admin.metrics_listen is not None:
            await _open(settings.admin.metrics_listen, _metrics_handler(node), nursery, servers)
        _log.info("mirror up", listen=mirror)
        on_ready(settings, mirror)
        await wait_stop_signal()
        _log.info("stopping")
        for server in servers:
            server.stop(_GRACE_SECONDS)


async def _open(address: Address, handler: Handler, nursery: trio.Nursery, servers: list[HttpServer]) -> str:
    """Serve there; the address with the port that was bound."""
    listeners = await open_listeners(address)
    servers.append(await nursery.start(_serve_http, handler, listeners))
    return (
        str(TcpAddress(address.host, bound_port(listeners[0])))
        if isinstance(address, TcpAddress)
        else str(address)
    )


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


def _no_words(_settings: Settings, _mirror: str) -> None:
    """`shoal agent` speaks through its log alone."""


def _show_configuration(_settings: Settings, mirror: str) -> None:
    click.echo(f"mirror: http://{mirror}")


if __name__ == "__main__":
    main()
