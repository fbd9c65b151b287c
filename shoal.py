"""The `shoal` command: the one place that composes agent, registry proxy, tracker and builder.

Each of them brings its own commands; this module mounts them, and adds the commands that run several together: `agent`
(a node with its registry endpoint) and `up` (the same with a tracker inside). A process begins in shoal_launch.py.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import trio

from agent.commands import COMMANDS
from agent.commands.freed_memory import return_freed_memory
from agent.commands.lazy_group import LazyCommand, LazyGroup
from agent.commands.running import config_flag, load, run_async, run_main, wait_stop_signal
from agent.commands.sectioned_command import SectionedCommand
from agent.settings.address import Address
from agent.settings.flags import settings_flags
from agent.settings.settings import Settings
from agent.version import VERSION
from registry_proxy.client_configuration import client_configuration

_TRACKER = LazyCommand(
    "tracker.commands:tracker", "Introduce nodes to each other and lease reads of the registry."
)
_BUILD = LazyCommand(
    "builder.build_command:build",
    "Build an image from a Dockerfile, as `docker build` does; every layer is a seed as soon as its step ends.",
)
_BUILD_PRUNE = LazyCommand(
    "builder.prune_command:build_prune",
    "Remove what builds keep to be faster: unpacked layers, cache mounts, and what steps came to.",
)
_STANDBY = LazyCommand(
    "builder.standby_command:standby", "Have everything loaded, so that other commands start in milliseconds."
)
_SIMULATE = LazyCommand(
    "tracker.simulate:simulate", "Tell how long a rollout will take, and what it will cost the registry."
)
_STANDBY_COMMAND = (sys.executable, "-P", "-m", "shoal", "standby")


@click.group(
    cls=LazyGroup,
    lazy={
        "standby": _STANDBY,
        **COMMANDS,
        "build": _BUILD,
        "build-prune": _BUILD_PRUNE,
        "tracker": _TRACKER,
        "simulate": _SIMULATE,
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(VERSION, prog_name="shoal")
def main() -> None:
    """Container images that move the way a shoal moves.

    \b
    Start here:
      shoal up              a mirror on this machine, and what to tell Docker, containerd and podman
      shoal pull alpine     an image into the store
      shoal COMMAND --help  examples, flags and exit codes
    """


@main.command(cls=SectionedCommand)
@config_flag
@settings_flags()
def agent(config_file: Path | None, **flags: object) -> None:
    """Run a node: local store, registry mirror, peer in the swarm.

    \b
    Example:
      shoal agent --tracker-url http://10.0.0.1:5052 --peer-listen 10.0.0.7:5051 --security-insecure-cluster

    Exit codes: 0 stopped by SIGTERM or Ctrl-C, 2 mistaken configuration, 6 an address is taken or the store unusable.
    """
    run_async(serve_node, load(config_file, flags), False, _no_words)


@main.command(cls=SectionedCommand)
@click.option(
    "--print-configuration", is_flag=True, help="Print what to tell Docker, containerd and podman, and end."
)
@config_flag
@settings_flags()
def up(print_configuration: bool, config_file: Path | None, **flags: object) -> None:
    """Run a single node with a tracker inside: a mirror for this machine, and the first node of a cluster.

    \b
    Examples:
      shoal up
      shoal up --proxy-listen 127.0.0.1:6000 --upstreams docker.io,quay.io
      shoal up --print-configuration

    Exit codes: 0 stopped by SIGTERM or Ctrl-C, 2 mistaken configuration, 6 an address is taken or the store unusable.
    """
    settings = load(config_file, flags)
    if print_configuration:
        click.echo(_client_configuration(settings, settings.proxy.listen), nl=False)
    else:
        run_async(serve_node, settings, True, _show_configuration)


def run_command(arguments: list[str]) -> None:
    """As `main`; output that nobody can take (a full disk) is told of as any failure is."""
    run_main(main, arguments)


async def serve_node(
    settings: Settings, with_tracker: bool, on_ready: Callable[[Settings, Address], None]
) -> None:
    """Until SIGTERM or SIGINT. `with_tracker`: run one inside where the configuration names none. Raises ShoalError."""
    # Here, not above: no other command needs these.
    from agent.node.node import open_node
    from agent.standby.keeper import keep_standby
    from agent.telemetry.metrics import Metrics
    from agent.telemetry.page import MetricsPage
    from registry_proxy.serving import serve_mirror

    page = MetricsPage(VERSION)
    metrics = Metrics([upstream.registry for upstream in settings.upstreams], page)
    async with trio.open_nursery() as outer:
        if with_tracker and not settings.tracker.url:
            from tracker.embedded import start_embedded_tracker

            url = await start_embedded_tracker(settings, page, outer)
            settings = replace(settings, tracker=replace(settings.tracker, url=url))
        if settings.standby.socket is not None:
            outer.start_soon(keep_standby, settings.standby.socket, _STANDBY_COMMAND)
        async with open_node(settings, metrics) as node:
            outer.start_soon(return_freed_memory, lambda: sum(node.traffic.totals.values()))
            await serve_mirror(node, lambda mirror: on_ready(settings, mirror), wait_stop_signal)
        outer.cancel_scope.cancel()


def _no_words(_settings: Settings, _mirror: Address) -> None:
    """`shoal agent` speaks through its log alone."""


def _show_configuration(settings: Settings, mirror: Address) -> None:
    click.echo(f"\nThe mirror is up at http://{mirror}. Tell your container engine:\n")
    click.echo(_client_configuration(settings, mirror), nl=False)
    click.echo("\nCtrl-C stops it; `shoal status` shows what it does.\n")


def _client_configuration(settings: Settings, mirror: Address) -> str:
    upstreams = [(upstream.registry, upstream.url) for upstream in settings.upstreams]
    return client_configuration(mirror, upstreams, settings.proxy.default_upstream)


if __name__ == "__main__":
    run_command(sys.argv[1:])
