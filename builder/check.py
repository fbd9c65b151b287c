"""`check`: what `--check` finds in a Dockerfile: read and planned, and nothing is built.

It needs no store, no rights, and no network but where the context is fetched. Of base images that a store at
hand has the configuration is looked at; of others nothing is claimed that it could refute.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.content.errors import NotFound
from agent.content.platform import Platform
from agent.content.reference import Reference
from agent.images.names import lookup_order
from agent.store.disk_errors import disk_errors
from agent.store.store import Store
from builder.dockerfile.instructions import Dockerfile, Warning
from builder.execution.definition import read_definition
from builder.execution.planning import plan_options, this_machine
from builder.plan.options import BaseImage, ImageRequest, unknown_image
from builder.plan.plan import Wanted
from builder.plan.planner import make_plan
from builder.progress.events import Reporter, View
from builder.request import BuildRequest
from builder.sources.images import ImageSource


async def check(
    request: BuildRequest,
    store: Store | None,
    environment: Mapping[str, str],
    view: View,
    on_dockerfile: Callable[[Dockerfile], None] = lambda _: None,
) -> tuple[Dockerfile, tuple[Warning, ...]]:
    """store: to look images up in, None where there is none. Without a target it is about every stage. Raises
    ShoalError."""
    place = Path(environment.get("TMPDIR") or "/tmp")
    with ExitStack() as stack:

        def new_directory(name: str) -> Path:
            with disk_errors("make a directory", place):
                made = TemporaryDirectory(
                    prefix=f"shoal-check-{name}-", dir=place, ignore_cleanup_errors=True
                )
            return Path(stack.enter_context(made))

        read = await read_definition(request, new_directory, Reporter(view), environment, None, stack)
    on_dockerfile(read.dockerfile)
    platform = (request.platforms or (this_machine(),))[0]
    options = replace(plan_options(request, read, platform), every_stage=True)
    images: dict[ImageRequest, BaseImage] = {}
    while isinstance(plan := make_plan(read.dockerfile, options, images), Wanted):
        images.update({wanted: await _looked_up(wanted, store) for wanted in plan.requests})
    return read.dockerfile, plan.warnings


async def _looked_up(wanted: ImageRequest, store: Store | None) -> BaseImage:
    """Raises InputError for what is no name."""
    lookup_order(wanted.name)
    if store is not None:
        try:
            return await ImageSource(store, _no_pull).find(wanted)
        except NotFound:
            pass
    return unknown_image(wanted)


async def _no_pull(reference: Reference, _platform: Platform) -> None:
    raise NotFound(f"{reference} is not here")
