"""`Exports`: where the image of a build goes: into the store, to registries, to files; each as its attributes say.

Mistakes are told when it is made, before anything is built and not at the end of a long build.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import trio

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import InputError
from agent.content.reference import Reference
from agent.images.names import given_name
from agent.settings.settings import Settings
from agent.store.store import Store
from builder.execution.images import BuiltImage, is_packed_as, name_images, packed_as
from builder.execution.outputs import check_output, local_image, write_output
from builder.execution.pushing import push_image_to, registry_of
from builder.layers.recipes import Recipe
from builder.output import Output, Packing
from builder.progress.events import Reporter
from builder.request import BuildRequest

Hold = Callable[[Iterable[Digest]], None]


class Exports:
    def __init__(self, request: BuildRequest, settings: Settings) -> None:
        """Raises InputError."""
        self._request = request
        self._settings = settings
        if "" in request.tags:
            raise InputError("--tag is empty: expected NAME[:TAG]")
        for output in request.outputs:
            check_output(output, several=len(request.platforms) > 1)
            self._recipe(output.packing)
            if output.is_pushed and not self._targets(output):
                raise InputError("--output push=true: the image needs a name, by -t or name=")
        if sum(one.destination == "-" for one in request.outputs) > 1:
            raise InputError("--output: standard output can take one of them")
        upstreams = settings.upstream_registries
        self._named = {
            output: [given_name(name, upstreams) for name in self._names(output)]
            for output in request.outputs
        }

    @property
    def recipe(self) -> Recipe:
        """Of the layers that the build makes: as the first output that has layers wants them."""
        packings = [output.packing for output in self._request.outputs if output.is_image]
        return self._recipe(packings[0] if packings else Packing())

    @property
    def names(self) -> tuple[str, ...]:
        """Of the command, and of its outputs."""
        return tuple(dict.fromkeys(name for output in self._request.outputs for name in self._names(output)))

    async def put(
        self, store: Store, images: Sequence[BuiltImage], reporter: Reporter, hold: Hold
    ) -> Descriptor | None:
        """One image a platform. What went out as an image, if anything: rather into the store. Raises ShoalError."""
        roots = {}
        for output, names in self._named.items():
            if output.kind != "cacheonly":
                roots[output.kind] = await self._put(store, output, names, images, reporter, hold)
        return roots.get("store") or roots.get("oci") or roots.get("docker")

    async def _put(
        self,
        store: Store,
        output: Output,
        names: Sequence[Reference],
        images: Sequence[BuiltImage],
        reporter: Reporter,
        hold: Hold,
    ) -> Descriptor | None:
        root = None
        with reporter.running(_title(output)) as task:
            packed = [await self._packed(store, image, output, hold) for image in images]
            if output.kind == "store":
                root = await trio.to_thread.run_sync(name_images, store, packed, names, time.time())
                for name in names:
                    reporter.status(task, f"naming to {name}: done")
            else:
                root = await trio.to_thread.run_sync(write_output, store, packed, names, output)
        for target in self._targets(output) if output.is_pushed else ():
            with reporter.running(f"pushing {target}") as task:
                image = await trio.to_thread.run_sync(local_image, store, packed)
                await push_image_to(self._settings, store, image, target, partial(reporter.status, task))
        return root

    async def _packed(self, store: Store, image: BuiltImage, output: Output, hold: Hold) -> BuiltImage:
        recipe, with_base = self._recipe(output.packing), output.packing.is_forced
        if not output.is_image or is_packed_as(image, recipe, with_base=with_base):
            return image
        return await trio.to_thread.run_sync(
            lambda: packed_as(store, image, recipe, hold, with_base=with_base)
        )

    def _recipe(self, packing: Packing) -> Recipe:
        return packing.recipe(self._request.compression)

    def _names(self, output: Output) -> list[str]:
        return [name for name in (*self._request.tags, *output.name.split(",")) if name]

    def _targets(self, output: Output) -> list[Reference]:
        """Raises InputError."""
        return [registry_of(name) for name in self._names(output)]


def _title(output: Output) -> str:
    return "exporting to the store" if output.kind == "store" else f"exporting to {output.kind}"
