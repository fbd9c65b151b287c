"""`build`: a Dockerfile to an image in the store, or to files. The interface for programs; `shoal build` is one.

    with Store(root) as store, PlainView(print) as view:
        around = Surroundings(settings, store, pull)
        outcome = await build(BuildRequest(context=".", tags=("team/app:1",)), around, view)

Every mistake and failure is a ShoalError: DockerfileError with the place, StepFailed with a command's last output.
"""

import os
import platform as machine
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.content.platform import Platform
from agent.content.reference import Reference
from agent.images.names import given_name
from agent.settings.settings import Settings
from agent.store.store import Store
from builder.cache.cluster import Cluster, ClusterCache, Trust
from builder.cache.local import LocalCache
from builder.dockerfile.instructions import Dockerfile, Warning
from builder.dockerfile.parser import parse_dockerfile
from builder.execution.images import BuiltImage, blobs_of, name_images, write_image
from builder.execution.outputs import squash, write_output
from builder.execution.solver import Solved, Solver
from builder.execution.work_area import WorkArea, open_work_area
from builder.execution.workshop import Workshop
from builder.layers.content_digests import ContentDigests
from builder.layers.recipes import recipe_for
from builder.layers.snapshots import Snapshots
from builder.plan.options import BaseImage, ImageContext, ImageRequest, NamedContext, PlanOptions
from builder.plan.plan import Plan, Wanted
from builder.plan.planner import make_plan
from builder.plan.steps import ContextSource
from builder.progress.events import Reporter, View
from builder.request import BuildRequest, Output
from builder.sources.context import BuildContext, ContextRequest, open_context, open_named_context
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
    """root: the digest of the manifest, or of the index of several platforms; images: one a platform. steps: that were
    looked at, and how many of them were known."""

    images: tuple[BuiltImage, ...]
    root: Digest | None
    names: tuple[str, ...]
    steps: int
    cached: int
    seconds: float
    warnings: tuple[Warning, ...] = ()

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
    began = time.monotonic()
    names = [given_name(text, around.settings.upstream_registries) for text in request.tags]
    reporter = Reporter(view)
    async with _opened(around) as (area, snapshots, local):
        read = await _read(request, area, reporter, around.environment)
        on_dockerfile(read.dockerfile)
        source = ImageSource(around.store, around.pull, always_pull=request.pull)
        found: list[tuple[BuiltImage, Solved]] = []
        warnings: tuple[Warning, ...] = ()
        with ExitStack() as held:
            for platform in request.platforms or (_this_machine(),):
                plan = await _plan(request, read, platform, source, reporter)
                warnings = tuple(dict.fromkeys((*warnings, *plan.warnings)))
                shop = _workshop(request, around, read, area, snapshots, local, reporter)
                solver = Solver(plan, shop)
                held.callback(solver.close)
                solved = await solver.solve()
                image = await trio.to_thread.run_sync(_image, request, around.store, plan, solved, shop)
                held.enter_context(around.store.holding(blobs_of(image)))
                found.append((image, solved))
            root = await _put_out(request, around, [image for image, _ in found], names, reporter)
    return BuildOutcome(
        tuple(image for image, _ in found),
        root,
        request.tags,
        sum(solved.steps for _, solved in found),
        sum(solved.cached for _, solved in found),
        time.monotonic() - began,
        warnings,
    )


async def check(
    request: BuildRequest, around: Surroundings, view: View
) -> tuple[Dockerfile, tuple[Warning, ...]]:
    """`--check`: read and plan, build nothing. Raises ShoalError."""
    reporter = Reporter(view)
    async with _opened(around) as (area, _, _):
        read = await _read(request, area, reporter, around.environment)
        source = ImageSource(around.store, around.pull, always_pull=request.pull)
        plan = await _plan(request, read, (request.platforms or (_this_machine(),))[0], source, reporter)
        return read.dockerfile, plan.warnings


# --- the parts ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Read:
    dockerfile: Dockerfile
    contexts: Mapping[str | None, BuildContext]
    named: Mapping[str, NamedContext]


@asynccontextmanager
async def _opened(around: Surroundings) -> AsyncIterator[tuple[WorkArea, Snapshots, LocalCache]]:
    home = around.home
    with ExitStack() as stack:
        area = stack.enter_context(open_work_area(home / "work"))
        snapshots = stack.enter_context(Snapshots(home / "snapshots", around.store))
        local = stack.enter_context(LocalCache(home / "cache.db", around.store))
        await trio.to_thread.run_sync(snapshots.clean_up)
        yield area, snapshots, local


async def _read(
    request: BuildRequest, area: WorkArea, reporter: Reporter, environment: Mapping[str, str]
) -> _Read:
    task = reporter.start("[internal] load build definition and context")
    wanted = ContextRequest(request.context, request.file, area.directory("contexts"), dict(environment))
    contexts: dict[str | None, BuildContext] = {}
    named: dict[str, NamedContext] = {}
    try:
        contexts[None] = main = await open_context(wanted)
        for name, where in request.contexts.items():
            if where.startswith("docker-image://"):
                named[name] = ImageContext(where.removeprefix("docker-image://"))
            else:
                named[name] = ContextSource(name)
                contexts[name] = await open_named_context(where, wanted)
        assert main.dockerfile is not None
        dockerfile = parse_dockerfile(main.dockerfile, main.dockerfile_name)
    except BaseException as error:
        reporter.end(task, "failed", str(error).partition("\n")[0])
        raise
    reporter.end(task)
    return _Read(dockerfile, contexts, named)


async def _plan(
    request: BuildRequest, read: _Read, platform: Platform, source: ImageSource, reporter: Reporter
) -> Plan:
    options = PlanOptions(
        platform=platform,
        build_platform=_this_machine(),
        target=request.target,
        build_args=request.build_args,
        labels=request.labels,
        contexts=read.named,
        no_cache=request.no_cache,
        network=request.network,
        epoch=None if request.keep_times else request.epoch,
        hosts=request.hosts,
        platform_given=bool(request.platforms),
        many_platforms=len(request.platforms) > 1,
    )
    images: dict[ImageRequest, BaseImage] = {}
    while isinstance(plan := make_plan(read.dockerfile, options, images), Wanted):
        async with trio.open_nursery() as nursery:
            for wanted in plan.requests:
                nursery.start_soon(_find_image, source, wanted, images, reporter)
    if plan.epoch is not None or request.keep_times:
        return plan
    again = make_plan(read.dockerfile, replace(options, epoch=_epoch_of(images.values())), images)
    assert isinstance(again, Plan)
    return again


def _epoch_of(images: Iterable[BaseImage]) -> int:
    """Of the newest image that is built upon: no clock takes part in what is built."""
    times = [image.config.created_at for image in images]
    return int(max((time for time in times if time is not None), default=0.0))


async def _find_image(
    source: ImageSource, wanted: ImageRequest, images: dict[ImageRequest, BaseImage], reporter: Reporter
) -> None:
    task = reporter.start(f"[internal] load metadata for {wanted.name}")
    try:
        images[wanted] = await source.find(wanted)
    except BaseException as error:
        reporter.end(task, "failed", str(error).partition("\n")[0])
        raise
    reporter.end(task)


def _workshop(
    request: BuildRequest,
    around: Surroundings,
    read: _Read,
    area: WorkArea,
    snapshots: Snapshots,
    local: LocalCache,
    reporter: Reporter,
) -> Workshop:
    cluster = None
    if around.cluster is not None and not request.keep_times:
        cluster = ClusterCache(around.cluster[0], around.store, around.cluster[1])
    return Workshop(
        store=around.store,
        snapshots=snapshots,
        digests=ContentDigests(around.home / "digests.db"),
        local=local,
        cluster=cluster,
        contexts=read.contexts,
        area=area,
        mounts=around.home / "mounts",
        reporter=reporter,
        recipe=recipe_for(request.compression),
        quick=recipe_for("zstd", 1),
        salt="real times" if request.keep_times else "",
        secrets=request.secrets,
        ssh=request.ssh,
        environment=around.environment,
        allow_insecure="security.insecure" in request.allow,
        keep_times=request.keep_times,
    )


def _image(request: BuildRequest, store: Store, plan: Plan, solved: Solved, shop: Workshop) -> BuiltImage:
    if request.squash:
        return squash(store, plan.image, solved, shop.recipe)
    return write_image(store, plan.image, solved)


async def _put_out(
    request: BuildRequest,
    around: Surroundings,
    images: Sequence[BuiltImage],
    names: Sequence[Reference],
    reporter: Reporter,
) -> Digest | None:
    root = None
    for output in request.outputs:
        task = reporter.start(_title(output))
        try:
            if output.kind == "store":
                more = [given_name(name) for name in output.name.split(",") if name]
                every = [*names, *more]
                described = await trio.to_thread.run_sync(
                    name_images, around.store, images, every, time.time()
                )
                root = described.digest
                for name in every:
                    reporter.status(task, f"naming to {name}: done")
            else:
                if len(images) > 1:
                    raise InputError(
                        f"--output type={output.kind} takes one platform: the store takes several"
                    )
                await trio.to_thread.run_sync(write_output, around.store, images[0], names, output)
        except BaseException as error:
            reporter.end(task, "failed", str(error).partition("\n")[0])
            raise
        reporter.end(task)
    return root


def _title(output: Output) -> str:
    return "exporting to the store" if output.kind == "store" else f"exporting to {output.kind}"


def _this_machine() -> Platform:
    return Platform.of_machine(machine.machine())
