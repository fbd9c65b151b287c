"""`run_demo`: an upstream, a tracker and some agents, one pull through all of them at once, and a verified end.

Every process is a task's, and ends with it: whatever way this is left, nothing goes on running.
"""

import platform
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from agent.content.errors import ShoalError
from agent.content.reference import Reference
from tests.clients.daemon import DaemonFailed
from tests.clients.shoal_node import ShoalNode, open_shoal, open_tracker
from tests.demo.machine_image import make_machine_image
from tests.demo.node_pull import pull_watched
from tests.demo.progress import NodeProgress
from tests.demo.summary import Summary, megabytes
from tests.demo.upstream import Kind, Upstream, open_own_upstream, public_upstream
from tests.demo.verification import Verdict, verify_store
from tests.demo.view import View

_REFRESH_SECONDS = 0.125


@dataclass(frozen=True, slots=True)
class Order:
    """What to do. `image` None: one of `size_bytes` is made, and pulled from a registry of the kind `registry`."""

    nodes: int
    image: Reference | None
    size_bytes: int
    registry: Kind


class Rendezvous:
    """Those who wait here go on together, once as many have come as are expected."""

    def __init__(self, expected: int) -> None:
        self._missing = expected
        self._complete = trio.Event()

    def arrive(self) -> None:
        self._missing -= 1
        if self._missing == 0:
            self._complete.set()

    @property
    def is_complete(self) -> bool:
        return self._complete.is_set()

    async def wait(self) -> None:
        await self._complete.wait()


async def run_demo(order: Order, directory: Path, view: View) -> Summary:
    """Raises DaemonFailed where the registry or the tracker does not start; a node that fails is in the summary."""
    nodes = [NodeProgress(f"node-{number}") for number in range(1, order.nodes + 1)]
    async with _open_upstream(order, directory, view) as upstream:
        view.work_on("starting tracker and agents")
        async with open_tracker(directory / "tracker.log") as tracker:
            await Rollout(upstream, tracker.url, directory, nodes, view).run()
        view.work_on("verifying every digest")
        verdicts = await _verify(nodes, directory)
        expected = str(upstream.digest) if upstream.digest else None
        return Summary.of(nodes, verdicts, expected, upstream.bytes_sent() if upstream.bytes_sent else None)


async def _verify(nodes: Sequence[NodeProgress], directory: Path) -> dict[str, Verdict]:
    """By node, of those that pulled to the end; their agents have stopped."""
    verdicts: dict[str, Verdict] = {}

    async def verify(name: str, digest: str) -> None:
        store = directory / name / "store"
        verdicts[name] = await trio.to_thread.run_sync(verify_store, store, digest, abandon_on_cancel=True)

    async with trio.open_nursery() as nursery:
        for node in nodes:
            if node.state == "done" and node.digest is not None:
                nursery.start_soon(verify, node.name, node.digest)
    return verdicts


@asynccontextmanager
async def _open_upstream(order: Order, directory: Path, view: View) -> AsyncIterator[Upstream]:
    if order.image is not None:
        upstream = public_upstream(order.image)
        view.say("image", str(upstream.reference))
        view.say("registry", upstream.title)
        yield upstream
        return
    version = platform.python_version()
    view.work_on("making an image")
    image = await trio.to_thread.run_sync(make_machine_image, order.size_bytes, abandon_on_cancel=True)
    layers = len(image.blobs) - 1
    view.say("image", f"Python {version} of this machine, {layers} layers, {megabytes(image.size_bytes)}")
    view.work_on("pushing it to a registry")
    async with open_own_upstream(
        order.registry, image, f"machine/python:{version}", directory / "registry"
    ) as own:
        view.say("registry", own.title)
        yield own


class Rollout:
    """All nodes pull at the same moment, and stay until the last has finished."""

    def __init__(
        self, upstream: Upstream, tracker_url: str, directory: Path, nodes: Sequence[NodeProgress], view: View
    ) -> None:
        self._upstream, self._tracker_url, self._directory = upstream, tracker_url, directory
        self._nodes, self._view = nodes, view
        self._ready, self._finished = Rendezvous(len(nodes)), Rendezvous(len(nodes))
        self._started_at = 0.0

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            for node in self._nodes:
                nursery.start_soon(self._run_node, node)
            await self._ready.wait()
            text = f"a tracker, and {len(self._nodes)} x `shoal agent`, each with a store of its own"
            self._view.say("cluster", text)
            await self._show()

    async def _run_node(self, node: NodeProgress) -> None:
        """A failure is the node's; the others go on."""
        waiting = [self._ready, self._finished]
        try:
            async with self._open_node(node.name) as running:
                waiting.pop(0).arrive()
                await self._ready.wait()
                self._started_at = self._started_at or trio.current_time()
                await pull_watched(running, self._upstream.reference, node, self._started_at)
                waiting.pop(0).arrive()
                await self._finished.wait()
        except (DaemonFailed, ShoalError) as error:
            node.fail(str(error))
        finally:
            for rendezvous in waiting:
                rendezvous.arrive()

    def _open_node(self, name: str) -> AbstractAsyncContextManager[ShoalNode]:
        settings = {"upstreams": self._upstream.upstreams}
        if self._upstream.wants_credentials:
            settings["credentials__docker_config"] = ""  # the usual places
        return open_shoal(
            self._directory / name, "", command="agent", tracker_url=self._tracker_url, **settings
        )

    async def _show(self) -> None:
        with self._view.showing(self._nodes) as shown:
            while not self._finished.is_complete:
                with trio.move_on_after(_REFRESH_SECONDS):
                    await self._finished.wait()
                shown.refresh()
