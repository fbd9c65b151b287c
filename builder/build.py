"""`build`: a Dockerfile to an image in the store, or to files, in given surroundings; programs begin in builder.py.

Every mistake and failure is a ShoalError: DockerfileError with the place, StepFailed with a command's last output.
"""

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import DiskError, ShoalError
from agent.settings.settings import Settings
from agent.store.store import Store
from builder.cache.cluster import Cluster, ClusterCache, Trust
from builder.cache.local import LocalCache
from builder.dockerfile.instructions import Dockerfile, Warning
from builder.execution.definition import Definition, read_definition
from builder.execution.exports import Exports
from builder.execution.full_disk import with_help
from builder.execution.images import (
    BuiltImage,
    are_here,
    blobs_of,
    made_image,
    put_documents,
)
from builder.execution.outputs import squash
from builder.execution.planning import HOST_NETWORK, INSECURE, check_grants, plan_build, this_machine
from builder.execution.solver import Solved, Solver
from builder.execution.tidying import tidy
from builder.execution.work_area import WorkArea, open_work_area
from builder.execution.workshop import Workshop
from builder.layers.content_digests import ContentDigests
from builder.layers.recipes import Recipe, recipe_for
from builder.layers.snapshots import Snapshots
from builder.plan.plan import Plan
from builder.progress.events import Reporter, View
from builder.request import BuildRequest
from builder.sources.images import ImageSource, Pull


@dataclass(frozen=True, slots=True)
class Surroundings:
    """store: open. pull: an image into it. cluster: the agent that shares results, None where none runs."""

    settings: Settings
    store: Store
    pull: Pull
    cluster: tuple[Cluster, Trust] | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    @property
    def home(self) -> Path:
        return self.settings.node.data_dir / "build"


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """descriptor: of the manifest, or of the index of several platforms, where an image went out; images: one a
    platform. steps: that were looked at, and how many of them were known. untold: why the cluster does not know of the
    names yet, "" where it does or need not."""

    images: tuple[BuiltImage, ...]
    descriptor: Descriptor | None
    names: tuple[str, ...]
    steps: int
    cached: int
    seconds: float
    warnings: tuple[Warning, ...] = ()
    untold: str = ""

    @property
    def root(self) -> Digest | None:
        return None if self.descriptor is None else self.descriptor.digest

    @property
    def image_id(self) -> Digest:
        """Of the first platform."""
        return self.images[0].image_id


async def build(
    request: BuildRequest,
    around: Surroundings,
    view: View,
    on_dockerfile: Callable[[Dockerfile], None] = lambda _: None,
) -> BuildOutcome:
    """`view` is entered by the caller. on_dockerfile: called when it was read, for messages. Raises ShoalError."""
    try:
        return await _build(request, around, view, on_dockerfile)
    except ShoalError as error:
        raise with_help(error, around.home) from None


async def _build(
    request: BuildRequest, around: Surroundings, view: View, on_dockerfile: Callable[[Dockerfile], None]
) -> BuildOutcome:
    began = time.monotonic()
    exports = Exports(request, around.settings)
    granted = request.allow | ({HOST_NETWORK} if request.network == "host" else set())
    reporter = Reporter(view)
    async with _opened(around) as opened:
        read = await read_definition(
            request, opened.area.directory, reporter, around.environment, around.store, opened.stack
        )
        on_dockerfile(read.dockerfile)
        source = ImageSource(around.store, around.pull, always_pull=request.pull)
        shop = _workshop(request, around, read, opened, reporter, exports.recipe)
        found: list[tuple[BuiltImage, Solved]] = []
        plans = []
        for platform in dict.fromkeys(request.platforms or (this_machine(),)):
            plan = await plan_build(request, read, platform, source, reporter)
            check_grants(plan, granted)
            plans.append(plan)
        with around.store.holding() as hold:
            for plan in plans:
                solved = await Solver(plan, shop, hold).solve()
                image = await _image(request, around.store, plan, solved, shop)
                hold(blobs_of(image))
                found.append((image, solved))
            descriptor = await exports.put(around.store, [image for image, _ in found], reporter, hold)
        if any(solved.cached < solved.steps for _, solved in found):
            await _tidy(around, opened)
    return BuildOutcome(
        tuple(image for image, _ in found),
        descriptor,
        exports.names,
        sum(solved.steps for _, solved in found),
        sum(solved.cached for _, solved in found),
        time.monotonic() - began,
        tuple(dict.fromkeys(warning for plan in plans for warning in plan.warnings)),
    )


# --- the parts ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a build has open as long as it runs."""

    stack: ExitStack
    area: WorkArea
    snapshots: Snapshots
    local: LocalCache
    digests: ContentDigests


@asynccontextmanager
async def _opened(around: Surroundings) -> AsyncIterator[_Opened]:
    """No thread is asked for what takes microseconds but after a kill: each hop costs more, and nothing runs yet."""
    home = around.home
    with ExitStack() as stack:
        area = stack.enter_context(open_work_area(home / "work"))
        snapshots = stack.enter_context(Snapshots(home / "snapshots", around.store))
        local = stack.enter_context(LocalCache(home / "cache.db", around.store))
        digests = stack.enter_context(closing(ContentDigests(home / "digests.db")))
        snapshots.clean_up()
        yield _Opened(stack, area, snapshots, local, digests)


async def _tidy(around: Surroundings, opened: _Opened) -> None:
    """A build of which everything was known has added nothing."""
    keep_bytes, mounts = around.settings.build.keep_storage, around.home / "mounts"
    with suppress(DiskError):  # the next build tries again
        await trio.to_thread.run_sync(tidy, opened.snapshots, opened.local, mounts, keep_bytes)


def _workshop(
    request: BuildRequest,
    around: Surroundings,
    read: Definition,
    opened: _Opened,
    reporter: Reporter,
    recipe: Recipe,
) -> Workshop:
    cluster = None
    if around.cluster is not None and not request.keep_times:
        cluster = ClusterCache(around.cluster[0], around.store, around.cluster[1])
    return Workshop(
        store=around.store,
        snapshots=opened.snapshots,
        digests=opened.digests,
        local=opened.local,
        cluster=cluster,
        contexts=read.contexts,
        area=opened.area,
        mounts=around.home / "mounts",
        reporter=reporter,
        recipe=recipe,
        quick=recipe_for("zstd", 1),
        salt="real times" if request.keep_times else "",
        secrets=request.secrets,
        ssh=request.ssh,
        environment=around.environment,
        allow_insecure=INSECURE in request.allow,
        keep_times=request.keep_times,
        context_task=read.task,
    )


async def _image(
    request: BuildRequest, store: Store, plan: Plan, solved: Solved, shop: Workshop
) -> BuiltImage:
    if request.squash:
        return await trio.to_thread.run_sync(squash, store, plan.image, solved, shop.recipe)
    image, documents = made_image(plan.image, solved)
    if not are_here(store, documents):
        await trio.to_thread.run_sync(put_documents, store, documents)
    return image
