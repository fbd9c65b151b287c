"""`start_embedded_tracker`: a tracker inside a node's process: what makes `shoal up` a cluster of one."""

import trio

from agent.content.errors import InputError
from agent.http.listeners import bound_port, open_listeners
from agent.settings.address import TcpAddress
from agent.settings.settings import Settings
from agent.telemetry.page import MetricsPage
from agent.telemetry.tracker_metrics import TrackerMetrics
from tracker.server import new_tracker, run_tracker


async def start_embedded_tracker(settings: Settings, page: MetricsPage, nursery: trio.Nursery) -> str:
    """Its URL for the node in the same process. Runs until the nursery is cancelled. Raises InputError, DiskError."""
    listen = settings.tracker.listen
    if not isinstance(listen, TcpAddress):
        raise InputError(
            f"tracker.listen is {listen}, and the node inside reaches its tracker by HOST:PORT alone"
        )
    listeners = await open_listeners(listen)
    await nursery.start(run_tracker, listeners, new_tracker(settings.security.cluster), TrackerMetrics(page))
    host = listen.host
    if listen.is_wildcard:
        host = "::1" if ":" in host else "127.0.0.1"
    return f"http://{TcpAddress(host, bound_port(listeners[0]))}"
