"""`open_builder`: the interface for programs; `shoal build` is one.

    async with open_builder(load_settings(None, os.environ, {})) as builder:
        outcome = await builder.build(BuildRequest(context=".", tags=("team/app:1",)))

What is to be built: builder/request.py; how: builder/build.py; what to show meanwhile: builder/progress. Checking a
Dockerfile takes no builder: builder/check.py.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from agent.commands.agent_client import open_agent_client
from agent.commands.announcing import announced
from agent.commands.local_store import store_root
from agent.content.platform import Platform
from agent.content.reference import Reference
from agent.node.store_limits import store_limits
from agent.settings.settings import Settings
from agent.store.store import Store
from builder.build import BuildOutcome, Surroundings, build
from builder.dockerfile.instructions import Dockerfile
from builder.progress.events import UNSEEN, View
from builder.request import BuildRequest


class Builder:
    """Made by `open_builder`. Several builds may run at a time."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def build(
        self,
        request: BuildRequest,
        view: View = UNSEEN,
        on_dockerfile: Callable[[Dockerfile], None] = lambda _: None,
    ) -> BuildOutcome:
        """The image is in the store, under its names, and the cluster is told of them.

        `view` is entered by the caller. on_dockerfile: called when it was read, for messages. Raises ShoalError:
        DockerfileError with the place, StepFailed with a command's last output and its exit status.
        """
        outcome = await build(request, self._around, view, on_dockerfile)
        if all(output.kind != "store" for output in request.outputs):
            return outcome
        return replace(outcome, untold=await announced(self._around.settings, self._around.store))


@asynccontextmanager
async def open_builder(settings: Settings) -> AsyncIterator[Builder]:
    """With this node's store, and with the agent that runs here where one does: base images come through it, and
    results are shared. Closes the store. Raises DiskError."""
    with Store(store_root(settings), store_limits(settings)) as store:

        async def pull(reference: Reference, platform: Platform) -> None:
            from agent.commands.pull import pull_image  # a whole node, where nothing is here

            await pull_image(settings, reference, platform, lambda _: None)

        if not settings.build.share_cache or not settings.admin.socket.is_socket():
            yield Builder(Surroundings(settings, store, pull))
            return
        from agent.node.identity import load_node_key  # signs, which takes a while to load
        from builder.cache.cluster import Trust

        key = load_node_key(settings.node.data_dir, settings.security.cluster)
        trust = Trust(key, settings.security.cluster, settings.build.trusted_builders)
        async with open_agent_client(settings.admin.socket) as agent:
            yield Builder(Surroundings(settings, store, pull, (agent, trust)))
