"""What a stage begins with: scratch, an image, another stage, or the files of a named context. PURE."""

from builder.plan.image_draft import DEFAULT_PATH, ImageDraft
from builder.plan.options import BaseImage
from builder.plan.stage_graph import ImageOrigin, Node, Scratch, StageOrigin
from builder.plan.stage_work import PlanWork, StageWork, clean
from builder.plan.steps import ContextSource, CopyOperation

_EXPORTER = "buildkit.exporter.image.v0"


def begin_stage(plan: PlanWork, node: Node, total: int) -> StageWork:
    """With its first step, where it does not go on from another stage's last one."""
    match node.origin:
        case StageOrigin(position):
            return _after(plan, node, total, plan.stages[position])
        case ImageOrigin(name, request):
            return _on_image(plan, node, total, name, plan.images[request])
        case Scratch():
            work = StageWork(plan, node, ImageDraft.empty(plan.options.platform), total)
            _from_scratch(work)
            return _settled(work)
    return _on_context(plan, node, total, node.origin)


def _after(plan: PlanWork, node: Node, total: int, before: StageWork) -> StageWork:
    work = StageWork(
        plan, node, before.image.child(), total, dict(before.environment), dict(before.arguments)
    )
    work.top = before.top
    return _settled(work)


def _on_image(plan: PlanWork, node: Node, total: int, name: str, base: BaseImage) -> StageWork:
    work = StageWork(plan, node, ImageDraft.of(base), total)
    digest = f"@{base.digest}" if base.digest and "@" not in base.name else ""
    title = f"[context {node.stage.name}] {name}" if node.replaced else None
    work.add_step(f"FROM {base.name}{digest}", node.stage.from_.place.line, None, base.layers, title)
    work.image.runtime.pop("OnBuild", None)
    _check_platform(plan, node, name, base)
    return _settled(work)


def _on_context(plan: PlanWork, node: Node, total: int, context: ContextSource) -> StageWork:
    """Its files are the first layer."""
    work = StageWork(plan, node, ImageDraft.empty(node.platform), total)
    _from_scratch(work)
    title = f"[context {context.name}] load from client"
    work.index += total > 0  # it counts as the FROM
    copied = CopyOperation(context, (".",), "/")
    step = work.add_step("", node.stage.from_.place.line, copied, title=title)
    work.image.tell(title, step, _EXPORTER)
    return _settled(work)


def _from_scratch(work: StageWork) -> None:
    work.add_step("", work.node.stage.from_.place.line, None, (), title="")


def _settled(work: StageWork) -> StageWork:
    """The environment and the directory that its instructions begin with."""
    if "PATH" not in work.image.environment:
        work.image.set_env("PATH", DEFAULT_PATH)
    work.environment.update(work.image.environment)
    if work.image.runtime.get("WorkingDir"):
        work.image.runtime["WorkingDir"] = clean(work.image.directory)
    return work


def _check_platform(plan: PlanWork, node: Node, name: str, base: BaseImage) -> None:
    expected, actual = node.platform, base.config.platform
    if (expected.os, expected.architecture) != (actual.os, actual.architecture):
        message = (
            f"Base image {name} was pulled with platform {actual}, expected {expected} for current build"
        )
        plan.warn("InvalidBaseImagePlatform", message, node.stage.from_.place)
