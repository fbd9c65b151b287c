"""`make_plan`: a Dockerfile and what the command says to a Plan, for one platform. PURE.

The images that the target reaches must be known first, since ENV, USER, WORKDIR and ONBUILD of them take part in what
instructions mean: as long as one is missing the answer is `Wanted`, and the caller asks again with those. Stages that
the target does not reach are neither looked at further nor is any image of theirs wanted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from agent.content.errors import InputError
from builder.dockerfile.check import checked
from builder.dockerfile.failure import DockerfileError, error_at
from builder.dockerfile.instructions import Add, Arg, Copy, Dockerfile, Instruction, Place, Run, Workdir
from builder.dockerfile.parser import parse_instruction
from builder.plan.begin import begin_stage
from builder.plan.configuring import configure
from builder.plan.copying import copy
from builder.plan.options import BaseImage, ImageRequest, Images, PlanOptions
from builder.plan.plan import Plan, Wanted
from builder.plan.planned_image import planned_image
from builder.plan.running import run
from builder.plan.scope import GlobalScope, global_scope, unused_arguments
from builder.plan.stage_graph import ImageOrigin, Node, Scratch, StageGraph, StageOrigin
from builder.plan.stage_work import PlanWork, StageWork

_EPOCH = "SOURCE_DATE_EPOCH"
_MAX_EPOCH = 253_402_300_799  # the year 9999 is the last one that a config can tell
_MAKES_STEP = (Add, Copy, Run, Workdir)


@dataclass(slots=True)
class _Reach:
    """What the target reaches: triggers per stage, and the images that are missing, with where they are named."""

    graph: StageGraph
    images: Images
    triggers: dict[int, tuple[Instruction, ...]] = field(default_factory=dict)
    missing: dict[ImageRequest, Place] = field(default_factory=dict)


def make_plan(dockerfile: Dockerfile, options: PlanOptions, images: Images) -> Plan | Wanted:
    """Raises InputError, DockerfileError where it is about a line."""
    scope = global_scope(dockerfile, options)
    options = _with_epoch(options, scope)
    scope = global_scope(dockerfile, options)
    graph = StageGraph(dockerfile, options, scope)
    target = graph.target()
    reach = _Reach(graph, images)
    _reach(reach, dockerfile, graph.nodes if options.every_stage and options.target is None else [target])
    if reach.missing:
        return Wanted(reach.missing)
    if options.epoch is None and options.epoch_of_images:
        options = replace(options, epoch=_epoch_of(images.values()))
    work = PlanWork(dockerfile, options, images, scope, graph)
    for position in sorted(reach.triggers):
        _go_through(work, graph.nodes[position], reach.triggers[position])
    return _plan(work, work.stages[target.position], reach)


def _with_epoch(options: PlanOptions, scope: GlobalScope) -> PlanOptions:
    """SOURCE_DATE_EPOCH is an ARG like any other, which says when everything was made, too. `context`, as in BuildKit,
    is the time of the context's last change, and nothing where nobody knows it."""
    told = options.build_args.get(_EPOCH, scope.values.get(_EPOCH, ""))
    if told == "context":
        told = "" if options.context_epoch is None else str(options.context_epoch)
        options = replace(options, build_args={**options.build_args, _EPOCH: told})
    if options.epoch is not None or not told:
        return options
    if not (told.isascii() and told.isdecimal()) or int(told[:20]) > _MAX_EPOCH:
        raise InputError(f"SOURCE_DATE_EPOCH={told[:100]}: expected seconds since 1970, or context")
    return replace(options, epoch=int(told))


def _epoch_of(images: Iterable[BaseImage]) -> int:
    """Of the newest image that is built upon: no clock takes part in what is built."""
    times = [image.config.created_at for image in images]
    return int(max((time for time in times if time is not None), default=0.0))


def _reach(reach: _Reach, dockerfile: Dockerfile, targets: Iterable[Node]) -> None:
    open_nodes = list(targets)
    while open_nodes:
        node = open_nodes.pop()
        if node.position in reach.triggers:
            continue
        triggers = _triggers(reach, dockerfile, node)
        reach.triggers[node.position] = triggers
        own = () if node.replaced else node.stage.instructions
        begins = (node.origin, node.stage.from_.place)
        for origin, place in (begins, *reach.graph.sources(node, (*triggers, *own))):
            if isinstance(origin, StageOrigin):
                open_nodes.append(reach.graph.nodes[origin.position])
            elif isinstance(origin, ImageOrigin) and origin.request not in reach.images:
                reach.missing.setdefault(origin.request, place)


def _triggers(reach: _Reach, dockerfile: Dockerfile, node: Node) -> tuple[Instruction, ...]:
    if node.replaced:
        return ()
    place = node.stage.from_.place
    texts: Sequence[str] = reach.graph.inherited_triggers(node)
    image = reach.images.get(node.origin.request) if isinstance(node.origin, ImageOrigin) else None
    if image is not None:
        texts = [text for text in image.config.runtime.get("OnBuild") or () if isinstance(text, str)]
    try:
        return tuple(parse_instruction(text, "\\", place) for text in texts)
    except DockerfileError as error:
        problem = f"ONBUILD of {node.stage.from_.image}: {error.problem}"
        raise error_at(dockerfile, place, problem) from None


def _go_through(plan: PlanWork, node: Node, triggers: tuple[Instruction, ...]) -> None:
    own = () if node.replaced else node.stage.instructions
    work = begin_stage(plan, node, _count_of_steps(node, own, triggers))
    plan.stages[node.position] = work
    for number, instruction in enumerate((*triggers, *own)):
        work.fired, work.unsure = number < len(triggers), False
        try:
            _carry_out(work, instruction)
        except DockerfileError:
            raise
        except InputError as error:
            if not work.unsure:
                raise error_at(plan.dockerfile, instruction.place, str(error)) from None


def _count_of_steps(node: Node, own: Sequence[Instruction], triggers: Sequence[Instruction]) -> int:
    """As BuildKit counts for its titles: every trigger, whatever it does."""
    if node.replaced:
        return 0
    begins = 0 if isinstance(node.origin, Scratch | StageOrigin) else 1
    return begins + len(triggers) + sum(isinstance(one, _MAKES_STEP) for one in own)


def _carry_out(work: StageWork, instruction: Instruction) -> None:
    match instruction:
        case Run():
            run(work, instruction)
        case Copy():
            copy(work, instruction)
        case _:
            configure(work, instruction)


def _plan(work: PlanWork, target: StageWork, reach: _Reach) -> Plan:
    options = work.options
    platform = options.platform if options.platform_given else target.image.platform
    fired = [one for triggers in reach.triggers.values() for one in triggers if isinstance(one, Arg)]
    unused = unused_arguments(work.dockerfile, options, fired)
    assert target.top is not None, "a stage that is done has a step"
    return Plan(
        tuple(work.steps),
        target.top,
        planned_image(target.image, platform, options.labels, options.epoch),
        (*checked(work.dockerfile, (*work.dockerfile.warnings, *work.warnings)), *unused),
        options.epoch,
    )
