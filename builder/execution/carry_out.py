"""`carry_out`: one step: its base as a writable tree, the operation in it, and what changed as a layer."""

import time
from dataclasses import replace

import trio

from agent.content.image_config import time_text
from builder.dockerfile.ignore import IgnorePatterns
from builder.execution.blocking import held_in_threads
from builder.execution.full_disk import full_disk_hint
from builder.execution.inputs import Inputs
from builder.execution.run_mounts import open_mounts
from builder.execution.secret_mask import SecretMask
from builder.execution.step_failure import LastLines, StepFailed
from builder.execution.workshop import Workshop
from builder.layers.copying import CopySource, copy_into, make_directory
from builder.layers.recipes import Recipe
from builder.layers.snapshots import WorkingTree
from builder.plan.cache_keys import is_independent
from builder.plan.layer import Chain, Layer
from builder.plan.steps import ContextSource, CopyOperation, MakeDirectory, RunOperation, SecretMount, Step
from builder.progress.events import Stream, Task
from builder.run.container import run_container
from builder.run.request import ContainerRequest
from builder.run.runtime import find_runtime


async def carry_out(
    shop: Workshop, inputs: Inputs, step: Step, base: Chain, recipe: Recipe, task: Task
) -> Layer | None:
    """None where nothing changed. Raises StepFailed where a command fails, and whatever else fails as a ShoalError."""
    operation = step.operation
    # A linked copy is a layer of its own, whatever is below.
    own = () if is_independent(operation) else base
    async with held_in_threads(shop.snapshots.writable(own)) as tree:
        match operation:
            case RunOperation():
                await _run(shop, inputs, step, operation, tree, task)
            case CopyOperation():
                await _copy(inputs, operation, tree)
            case MakeDirectory():
                await trio.to_thread.run_sync(make_directory, tree.path, operation)
        epoch = None if shop.keep_times else step.epoch
        layer = await trio.to_thread.run_sync(
            lambda: shop.snapshots.finish(tree, own, recipe=recipe, epoch=epoch)
        )
    if layer is None or layer.created is not None:
        return layer
    return replace(layer, created=time_text(time.time() if epoch is None else epoch))


async def _run(
    shop: Workshop, inputs: Inputs, step: Step, operation: RunOperation, tree: WorkingTree, task: Task
) -> None:
    last = LastLines()
    keys = [mount.key for mount in operation.mounts if isinstance(mount, SecretMount)]
    mask = SecretMask(shop.secrets[key] for key in keys if key in shop.secrets)

    def show(stream: Stream, data: bytes) -> None:
        if data:
            shop.reporter.output(task, stream, data)
            last.feed(stream, data)

    def on_output(stream: Stream, data: bytes) -> None:
        show(stream, mask.feed(stream, data))

    async with open_mounts(shop, inputs, operation.mounts) as opened:
        request = ContainerRequest(
            root_fs=tree.path,
            operation=operation,
            work=shop.area.directory("run"),
            runtime=find_runtime(),
            mounts=tuple(opened.mounts),
            secret_environment=tuple(opened.environment),
            allow_insecure=shop.allow_insecure,
            platform=step.platform,
        )
        status = await run_container(request, on_output)
    for stream, data in mask.end():
        show(stream, data)
    if status != 0:
        words = " ".join(operation.arguments)
        problem = f'process "{words}" did not complete successfully: exit code: {status}'
        problem += full_disk_hint(shop.area.root.parent)
        raise StepFailed(step.title, step.line, problem, last.end(), status)


async def _copy(inputs: Inputs, operation: CopyOperation, tree: WorkingTree) -> None:
    files = [(await inputs.fetched(url))[0] for url in operation.urls]
    gits = [(git, (await inputs.fetched(git))[0]) for git in operation.gits]
    if not operation.paths:
        source = CopySource(None, IgnorePatterns(), files, gits)
        await trio.to_thread.run_sync(copy_into, tree.path, operation, source)
        return
    async with inputs.opened(operation.source) as root:
        is_context = isinstance(operation.source, ContextSource)
        ignore = inputs.context(operation.source).ignore if is_context else IgnorePatterns()  # type: ignore[arg-type]
        source = CopySource(root, ignore, files, gits, is_context=is_context)
        await trio.to_thread.run_sync(copy_into, tree.path, operation, source)
