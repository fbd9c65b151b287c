"""`plan_build`: the plan of one platform, with the images it builds upon; and what a Dockerfile needs leave for."""

import platform as machine
from collections.abc import Collection, Mapping

import trio

from agent.content.errors import InputError, ShoalError
from agent.content.platform import Platform
from builder.dockerfile.instructions import Dockerfile, Place
from builder.execution.definition import Definition
from builder.execution.step_failure import StepFailed
from builder.plan.options import BaseImage, ImageRequest, PlanOptions
from builder.plan.plan import Plan, Wanted
from builder.plan.planner import make_plan
from builder.plan.steps import RunOperation
from builder.progress.events import Reporter
from builder.request import BuildRequest
from builder.sources.images import ImageSource

HOST_NETWORK = "network.host"
INSECURE = "security.insecure"
_SHOWN_TAGS = 5


def this_machine() -> Platform:
    return Platform.of_machine(machine.machine())


async def plan_build(
    request: BuildRequest, read: Definition, platform: Platform, source: ImageSource, reporter: Reporter
) -> Plan:
    """Raises ShoalError."""
    options = plan_options(request, read, platform)
    images: dict[ImageRequest, BaseImage] = {}
    while isinstance(plan := make_plan(read.dockerfile, options, images), Wanted):
        images.update(await _find_images(plan.requests, read.dockerfile, source, reporter))
    return plan


def plan_options(request: BuildRequest, read: Definition, platform: Platform) -> PlanOptions:
    return PlanOptions(
        platform=platform,
        build_platform=this_machine(),
        target=request.target,
        build_args=request.build_args,
        labels=request.labels,
        contexts=read.named,
        no_cache=request.no_cache,
        network=request.network,
        epoch=None if request.keep_times else request.epoch,
        epoch_of_images=not request.keep_times,
        hosts=request.hosts,
        platform_given=bool(request.platforms),
        many_platforms=len(request.platforms) > 1,
        ignore=read.contexts[None].ignore,
        context_epoch=read.contexts[None].modified_at,
    )


def check_grants(plan: Plan, granted: Collection[str]) -> None:
    """What reaches beyond its container is for the caller to allow, not for a Dockerfile: BuildKit's entitlements.

    Raises StepFailed.
    """
    for step in plan.steps:
        if isinstance(step.operation, RunOperation):
            asked = {HOST_NETWORK: step.operation.network == "host"}
            asked[INSECURE] = step.operation.security == "insecure"
            for grant, is_asked in asked.items():
                if is_asked and grant not in granted:
                    problem = InputError(f"{grant} is not granted: --allow {grant} does")
                    raise StepFailed(step.title, step.line, problem)


async def _find_images(
    requests: Mapping[ImageRequest, Place], dockerfile: Dockerfile, source: ImageSource, reporter: Reporter
) -> dict[ImageRequest, BaseImage]:
    """All at once; the first failure ends the others. Raises StepFailed."""
    found: dict[ImageRequest, BaseImage] = {}
    failures: list[StepFailed] = []

    async def find(wanted: ImageRequest, scope: trio.CancelScope) -> None:
        title = f"[internal] load metadata for {wanted.name}"
        try:
            with reporter.running(title):
                found[wanted] = await source.find(wanted)
        except ShoalError as error:
            hint = _meant_instead(wanted, dockerfile, source)
            failures.append(StepFailed(title, requests[wanted].line, type(error)(f"{error}{hint}")))
            scope.cancel()

    async with trio.open_nursery() as nursery:
        for wanted in requests:
            nursery.start_soon(find, wanted, nursery.cancel_scope)
    if failures:
        raise failures[0]
    return found


def _meant_instead(wanted: ImageRequest, dockerfile: Dockerfile, source: ImageSource) -> str:
    """A stage of nearly this name, or what is here of the image: for other platforms, under other tags."""
    from difflib import get_close_matches  # for mistakes alone

    stages = [stage.name for stage in dockerfile.stages if stage.name is not None]
    if near := get_close_matches(wanted.name.lower(), stages, n=1, cutoff=0.7):
        return f"; did you mean the stage {near[0]}?"
    platforms = source.platforms_here(wanted.name)
    if platforms and not any(wanted.platform.fits(one) for one in platforms):
        return f"; it is here for {', '.join(map(str, platforms))}, not for {wanted.platform}"
    tags = source.tags_here(wanted.name)
    return f"; of this image {', '.join(tags[:_SHOWN_TAGS])} is here" if tags else ""
