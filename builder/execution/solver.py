"""`Solver`: carries out what of a plan the target needs: known results are taken, the rest is done side by side.

Keys come first. A step's definition key follows from those of its inputs, so all are known before anything runs, and
what a known result stands for is not even looked at: its sources may be gone. Where nobody knows it the inputs are
made, and the step is looked up once more by what its inputs really came to (content key). Only then it is carried out.
Results are known by what they are and not by how their layer is packed: one that another step alone has read so far is
packed anew where it becomes the image's.
Invariant: a result is used or told only when its layer is in the store; the layers that the build needs are held.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import trio

from agent.content.digest import Digest
from agent.content.errors import ContentError, ShoalError
from builder.cache.record import CachedResult
from builder.execution.inputs import Inputs
from builder.execution.step_failure import StepFailed
from builder.execution.workshop import Workshop
from builder.layers.recompression import is_packed, recompressed
from builder.plan.cache_keys import content_key, definition_key, layers_key, selections
from builder.plan.layer import Chain, Layer
from builder.plan.plan import Plan
from builder.plan.steps import ContextSource, RunOperation, SecretMount, SshMount, Step, StepSource
from builder.progress.events import Task


@dataclass(slots=True)
class _Node:
    """key: by definition. hit: what is known under it. chain: all layers, once `done` is set. private: it, or what
    it is made of, was made with secrets: the key, which tells nothing of their values, means something else to others.
    changed: files of a context were, after the key was made, for it or what it is made of: it is not what the key says.
    shown: what a view knows it by.
    """

    step: Step
    key: str = ""
    fresh: bool = False
    private: bool = False
    changed: bool = False
    hit: CachedResult | None = None
    layer: Layer | None = None
    chain: Chain = ()
    shown: tuple[Task, ...] = ()
    done: trio.Event = field(default_factory=trio.Event)


@dataclass(frozen=True, slots=True)
class Solved:
    """layers: of every step that was looked at, None where it changed nothing. chain: the target's."""

    layers: dict[int, Layer | None]
    chain: Chain
    steps: int
    cached: int


class Solver:
    def __init__(self, plan: Plan, shop: Workshop, hold: Callable[[Iterable[Digest]], None]) -> None:
        """hold: keeps layers in the store until the build has ended."""
        self._plan = plan
        self._shop = shop
        self._nodes = [_Node(step) for step in plan.steps]
        self._inputs = Inputs(shop, lambda number: self._nodes[number].chain)
        self._of_image = set(self._down_from(plan.target))
        self._hold = hold
        self._recalled: dict[str, CachedResult] = {}
        self._makers: dict[str, _Node] = {}  # by key
        self._failure: ShoalError | None = None
        self._cached = 0

    async def solve(self) -> Solved:
        """Raises StepFailed, and what sources and this machine fail with."""
        await self._find_keys()
        needed = await self._find_results()
        async with trio.open_nursery() as nursery:
            for node in self._nodes:
                if node.step.number in needed:
                    nursery.start_soon(self._finish, node, nursery.cancel_scope)
        if self._failure is not None:
            raise self._failure
        layers = {number: self._nodes[number].layer for number in needed}
        operations = sum(self._nodes[number].step.operation is not None for number in needed)
        return Solved(layers, self._nodes[self._plan.target].chain, operations, self._cached)

    def _down_from(self, number: int | None) -> Iterator[int]:
        while number is not None:
            yield number
            number = self._plan.steps[number].base

    # --- what is known ------------------------------------------------------------------------------------------

    async def _find_keys(self) -> None:
        await self._inputs.read_contexts(
            one for node in self._nodes for one in selections(node.step.operation)
        )
        for node in self._nodes:
            step = node.step
            base = None if step.base is None else self._nodes[step.base]
            sources = [
                self._nodes[one.source.step]
                for one in selections(step.operation)
                if isinstance(one.source, StepSource)
            ]
            below = [base, *sources] if base is not None else sources
            node.fresh = step.no_cache or any(one.fresh for one in below)
            node.private = not _is_shareable(step) or any(one.private for one in below)
            with _placed(step):
                keys = [
                    await self._inputs.known_key(selection, lambda number: self._nodes[number].key)
                    for selection in selections(step.operation)
                ]
            node.key = self._salted(definition_key(step, None if base is None else base.key, keys))

    def _salted(self, key: str) -> str:
        """What is in a layer depends on how it is packed, too."""
        return hashlib.sha256(f"{self._shop.salt}\n{key}".encode()).hexdigest()

    async def _find_results(self) -> set[int]:
        """What must be looked at: the target, what it stands on, and the sources of what nobody knows."""
        self._recall()
        needed: set[int] = set()
        open_numbers = [self._plan.target]
        while open_numbers:
            wave = [number for number in dict.fromkeys(open_numbers) if number not in needed]
            needed.update(wave)
            await self._look_up([self._nodes[number] for number in wave])
            open_numbers = [below for number in wave for below in self._below(self._nodes[number])]
        if self._failure is not None:
            raise self._failure
        return needed

    def _recall(self) -> None:
        """All that this node knows of, and hold it, in one go: each look and each hold is a transaction."""
        keys = [node.key for node in self._nodes if node.step.operation is not None and not node.fresh]
        self._recalled = self._shop.local.find_all(keys)
        known = [one.layer for one in self._recalled.values() if one.layer is not None]
        bases = [layer for node in self._nodes for layer in node.step.layers]
        self._hold(layer.blob.digest for layer in (*known, *bases))

    def _below(self, node: _Node) -> list[int]:
        step = node.step
        found = [] if step.base is None else [step.base]
        if node.hit is None:
            found += [
                one.source.step for one in selections(step.operation) if isinstance(one.source, StepSource)
            ]
        return found

    async def _look_up(self, nodes: list[_Node]) -> None:
        async with trio.open_nursery() as nursery:
            for node in nodes:
                if node.step.operation is not None and not node.fresh:
                    nursery.start_soon(self._look_up_one, node)

    async def _look_up_one(self, node: _Node) -> None:
        try:
            found = self._recalled.get(node.key)
            node.hit = await self._known(node.key, found, is_shared=not node.private)
        except ShoalError as error:
            self._failure = self._failure or error

    async def _known(self, key: str, found: CachedResult | None, *, is_shared: bool) -> CachedResult | None:
        """found: by this node."""
        if found is None and self._shop.cluster is not None and is_shared:
            found = await self._shop.cluster.find(key)
            if found is not None:
                self._shop.local.put([found], shareable=True)
        if found is not None and found.layer is not None:
            self._hold([found.layer.blob.digest])
            if self._shop.store.size_of(found.layer.blob.digest) is None:
                return None
        return found

    # --- what is done -------------------------------------------------------------------------------------------

    async def _finish(self, node: _Node, scope: trio.CancelScope) -> None:
        """The first failure ends the others."""
        try:
            await self._wait_inputs(node)
            await self._carry_out(node)
        except ShoalError as error:
            self._failure = self._failure or error
            scope.cancel()
        else:
            node.done.set()

    async def _wait_inputs(self, node: _Node) -> None:
        for number in self._below(node):
            await self._nodes[number].done.wait()

    async def _carry_out(self, node: _Node) -> None:
        step = node.step
        base = step.layers if step.base is None else self._nodes[step.base].chain
        if step.operation is None:
            node.chain = base
            self._hold(layer.blob.digest for layer in base)
            self._show_cached(node)
            return
        result = node.hit
        if result is None and (maker := self._makers.setdefault(node.key, node)) is not node:
            await maker.done.wait()  # the same step of another stage
            node.changed, result = maker.changed, CachedResult(node.key, maker.layer)
        if result is None:
            result = await self._made(node, base)
        else:
            self._show_cached(node)
        node.layer = await self._packed(step, result)
        node.chain = base if node.layer is None else (*base, node.layer)

    async def _packed(self, step: Step, result: CachedResult) -> Layer | None:
        layer, recipe = result.layer, self._shop.recipe
        if layer is None or step.number not in self._of_image or is_packed(layer, recipe):
            return layer
        packed = await trio.to_thread.run_sync(recompressed, self._shop.store, layer, recipe)
        self._hold([packed.blob.digest])
        self._shop.local.put([CachedResult(result.key, packed)], shareable=_is_shareable(step))
        return packed

    async def _made(self, node: _Node, base: Chain) -> CachedResult:
        step = node.step
        with _placed(step):
            contents = [await self._inputs.content(one) for one in selections(step.operation)]
        key = self._salted(content_key(step, layers_key(base), contents))
        node.changed = any(self._nodes[number].changed for number in self._below(node))
        keys = set() if node.changed else {node.key}
        found = None
        if not step.no_cache:
            found = await self._known(key, self._shop.local.find(key), is_shared=_is_shareable(step))
        if found is None:
            layer = await self._done(node, base)
            keys.add(key)
            if not await self._inputs.are_unchanged(selections(step.operation)):
                node.changed, keys = True, set()
        else:
            self._show_cached(node)
            layer = found.layer
        results = [CachedResult(one, layer) for one in sorted(keys)]
        await self._tell(step, results, {key} if node.private else keys)
        return results[0] if results else CachedResult(key, layer)

    async def _tell(self, step: Step, results: list[CachedResult], shared: set[str]) -> None:
        """shared: keys that mean the same to others."""
        told = [one for one in results if one.key in shared and _is_shareable(step)]
        own = [one for one in results if one not in told]
        await trio.to_thread.run_sync(lambda: self._shop.local.put(own, shareable=False))
        await trio.to_thread.run_sync(lambda: self._shop.local.put(told, shareable=True))
        if told and self._shop.cluster is not None:
            await self._shop.cluster.publish(told)

    async def _done(self, node: _Node, base: Chain) -> Layer | None:
        from builder.execution.carry_out import (
            carry_out,
        )  # containers and trees, which a known result needs not

        step = node.step
        recipe = self._shop.recipe if step.number in self._of_image else self._shop.quick
        async with self._shop.limiter:
            with _placed(step), self._shop.reporter.running(step.title, self._seen_below(node)) as task:
                node.shown = (task,)
                layer = await carry_out(self._shop, self._inputs, step, base, recipe, task)
        if layer is not None:
            self._hold([layer.blob.digest])
            if self._shop.store.size_of(layer.blob.digest) is None:
                raise ContentError(f"the layer {layer.blob.digest} is gone: is there room in the store?")
        return layer

    def _show_cached(self, node: _Node) -> None:
        """A step without a title, which scratch is, is not shown."""
        node.shown = self._seen_below(node)
        if node.step.title:
            task = self._shop.reporter.start(node.step.title, node.shown)
            self._shop.reporter.end(task, "cached")
            node.shown = (task,)
        self._cached += node.step.operation is not None

    def _seen_below(self, node: _Node) -> tuple[Task, ...]:
        """What it depends on, as far as that is looked at."""
        step = node.step
        found = [] if step.base is None else [*self._nodes[step.base].shown]
        for one in selections(step.operation):
            if isinstance(one.source, StepSource):
                found += self._nodes[one.source.step].shown
            elif isinstance(one.source, ContextSource) and self._shop.context_task is not None:
                found.append(self._shop.context_task)
        return tuple(dict.fromkeys(found))


@contextmanager
def _placed(step: Step) -> Iterator[None]:
    """What fails here is told with the line of the Dockerfile."""
    try:
        yield
    except StepFailed:
        raise
    except ShoalError as error:
        raise StepFailed(step.title, step.line, error) from None


def _is_shareable(step: Step) -> bool:
    """What was made with a secret is nobody else's."""
    operation = step.operation
    if not isinstance(operation, RunOperation):
        return True
    return not any(isinstance(mount, SecretMount | SshMount) for mount in operation.mounts)
