"""`shoal tracker`: a tracker as a process of its own."""

from pathlib import Path

import click
import trio

from agent.commands.running import config_flag, load, run_async, wait_stop_signal
from agent.commands.sectioned_command import SectionedCommand
from agent.http.listeners import bound_port, open_listeners
from agent.settings.address import TcpAddress
from agent.settings.flags import settings_flags
from agent.settings.settings import Settings
from agent.telemetry.logs import get_log
from agent.telemetry.tracker_metrics import TrackerMetrics
from tracker.server import new_tracker, run_tracker

_GRACE_SECONDS = 2.0


@click.command(cls=SectionedCommand)
@config_flag
@settings_flags("tracker", "security", "log")
def tracker(config_file: Path | None, **flags: object) -> None:
    """Introduce nodes to each other and lease reads of the registry.

    \b
    Example:
      shoal tracker --tracker-listen 10.0.0.1:5052 --security-insecure-cluster

    Exit codes: 0 stopped by SIGTERM or Ctrl-C, 2 mistaken configuration, 6 the address is taken.
    """
    run_async(_run, load(config_file, flags))


async def _run(settings: Settings) -> None:
    listeners = await open_listeners(settings.tracker.listen)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            run_tracker, listeners, new_tracker(settings.security.cluster), TrackerMetrics()
        )
        listen = settings.tracker.listen
        bound = (
            TcpAddress(listen.host, bound_port(listeners[0])) if isinstance(listen, TcpAddress) else listen
        )
        get_log("shoal.tracker").info("tracker up", listen=bound, cluster=settings.security.cluster)
        await wait_stop_signal()
        server.stop(_GRACE_SECONDS)
