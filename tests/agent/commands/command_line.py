"""Runs a command of `shoal` in this process, in a thread of its own (it has a trio of its own)."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from click.testing import CliRunner, Result

from agent.http.listeners import open_listeners
from agent.http.server import serve_http
from agent.node.admin import admin_handler
from agent.node.node import Node
from agent.settings.address import UnixAddress
from shoal import main
from tests.agent.node.cluster import REGISTRY
from tests.fakes.upstream import FakeUpstream


class CommandLine:
    """`shoal` on a node whose data is at `data_dir`. Nothing of this machine's own configuration takes part."""

    def __init__(self, data_dir: Path, upstream: FakeUpstream) -> None:
        self._flags = [f"--node-data-dir={data_dir}"]
        self._environment = {name: None for name in os.environ if name.startswith("SHOAL_")} | {
            "SHOAL_UPSTREAMS": f"{REGISTRY}={upstream.url}",
            "SHOAL_STORE_FLOOR_FREE": "0",
            "SHOAL_CONFIG": os.devnull,
        }

    async def run(self, command: str, *arguments: str) -> Result:
        return await trio.to_thread.run_sync(self._run, [command, *self._flags, *arguments])

    def _run(self, arguments: list[str]) -> Result:
        root = logging.getLogger()
        handlers, level = list(root.handlers), root.level
        try:
            result = CliRunner().invoke(main, arguments, env=self._environment)
        finally:  # a command sets up the logs of the whole process
            root.handlers, root.level = handlers, level
            logging.captureWarnings(False)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result


@asynccontextmanager
async def answering(node: Node) -> AsyncIterator[None]:
    """The node answers on the admin socket that a command looks for."""
    listeners = await open_listeners(UnixAddress(node.settings.node.data_dir / "shoal.sock"))
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_http, admin_handler(node), listeners)
        yield
        server.stop(0.0)
        nursery.cancel_scope.cancel()
