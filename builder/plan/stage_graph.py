"""Which stage needs which: FROM, COPY --from, mounts' from=, named contexts; and what the target reaches. PURE.

Invariant: an instruction uses stages that come before its own alone (BuildKit refuses the others), so that the file's
order is a topological one and a cycle cannot be. Names are looked up as BuildKit does: FROM in the exact case and among
the stages before it, COPY --from and from= whatever the case, a number of a stage too, and what is neither is an image.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent.content.errors import InputError
from agent.content.platform import Platform
from agent.content.reference import Reference
from builder.dockerfile.failure import did_you_mean, error_at
from builder.dockerfile.instructions import (
    Copy,
    Dockerfile,
    Instruction,
    Mount,
    OnBuild,
    Place,
    Run,
    Stage,
)
from builder.dockerfile.words import expand
from builder.plan.options import ImageContext, ImageRequest, PlanOptions
from builder.plan.scope import GlobalScope
from builder.plan.steps import ContextSource

_VARIABLE = re.compile(r"\$.")


@dataclass(frozen=True, slots=True)
class Scratch:
    pass


@dataclass(frozen=True, slots=True)
class StageOrigin:
    position: int


@dataclass(frozen=True, slots=True)
class ImageOrigin:
    """`name`: as the Dockerfile or the command has it."""

    name: str
    request: ImageRequest


Origin = Scratch | StageOrigin | ImageOrigin | ContextSource
"""What a stage begins with, and what `--from` names."""


@dataclass(frozen=True, slots=True)
class Node:
    """`replaced`: a named context stands for the whole stage, its instructions are not carried out."""

    stage: Stage
    origin: Origin
    platform: Platform
    replaced: bool = False

    @property
    def position(self) -> int:
        return self.stage.position

    @property
    def shown_name(self) -> str:
        return self.stage.name or f"stage-{self.position}"


class StageGraph:
    """The stages of one Dockerfile. Raises DockerfileError for names that are none."""

    def __init__(self, dockerfile: Dockerfile, options: PlanOptions, scope: GlobalScope) -> None:
        self._dockerfile = dockerfile
        self._options = options
        self._scope = scope
        self._by_name: dict[str, int] = {}
        self.nodes: list[Node] = []
        for stage in dockerfile.stages:
            self.nodes.append(self._node(stage))
            if stage.name is not None:
                self._by_name[stage.name.lower()] = stage.position

    def target(self) -> Node:
        wanted = self._options.target
        if not self.nodes:
            raise InputError(f"{self._dockerfile.name} has no stage: it needs a FROM")
        if wanted is None:
            return self.nodes[-1]
        position = self._position(wanted)
        if position is None:
            names = list(self._by_name)
            hint = f": {did_you_mean(wanted, names)}" if names else ": no stage of it has a name"
            raise InputError(f"{self._dockerfile.name} has no stage {wanted!r}{hint}")
        return self.nodes[position]

    def source(self, name: str, user: Node, place: Place) -> Origin:
        """What `--from=name` in `user` means. Raises DockerfileError."""
        if _VARIABLE.search(name):
            problem = f"variables are not expanded in from={name}: name it with FROM ... AS, which knows ARGs before it"
            raise error_at(self._dockerfile, place, problem)
        position = self._position(name)
        if position is None and name.isdecimal():
            raise error_at(
                self._dockerfile, place, f"there is no stage {name}: the file has {len(self.nodes)}"
            )
        if position is None:
            return self._outside(name, self._options.platform, place)
        if position >= user.position:
            problem = f"stage {name!r} must be defined before {user.shown_name!r}, which uses it"
            raise error_at(self._dockerfile, place, problem)
        before = self.nodes[position]
        return before.origin if before.replaced else StageOrigin(position)

    def sources(self, node: Node, instructions: Iterable[Instruction]) -> Iterator[tuple[Origin, Place]]:
        """What they use beside what the stage begins with, and where."""
        for instruction in instructions:
            for name in _names(instruction):
                yield self.source(name, node, instruction.place), instruction.place

    @property
    def has_one_state(self) -> bool:
        """Whether titles leave the stage's name out. BuildKit counts what `--from` names as stages, too, and the
        empty one that a cache mount begins with."""
        every = [one for node in self.nodes for one in node.stage.instructions]
        return len(self.nodes) == 1 and not any(_names(one) or _has_cache_mount(one) for one in every)

    def inherited_triggers(self, node: Node) -> list[str]:
        """ONBUILDs of the stage that it begins with."""
        if not isinstance(node.origin, StageOrigin) or self.nodes[node.origin.position].replaced:
            return []
        before = self.nodes[node.origin.position].stage.instructions
        return [one.trigger for one in before if isinstance(one, OnBuild)]

    def _position(self, name: str) -> int | None:
        if name.lower() in self._by_name:
            return self._by_name[name.lower()]
        return int(name) if name.isdecimal() and int(name) < len(self.nodes) else None

    def _node(self, stage: Stage) -> Node:
        platform = self._platform(stage) or self._options.platform
        context = self._options.context(stage.name) if stage.name is not None else None
        if context is not None:
            return Node(stage, self._of_context(context, platform), platform, replaced=True)
        name = self._expanded(stage, stage.from_.image)
        if not name:
            raise error_at(
                self._dockerfile, stage.from_.place, f"FROM {stage.from_.image}: the name is empty"
            )
        if name in self._by_name:
            before = self.nodes[self._by_name[name]]
            return Node(stage, StageOrigin(before.position), before.platform)
        origin = self._outside(name, platform, stage.from_.place)
        return Node(stage, origin, self._options.platform if isinstance(origin, Scratch) else platform)

    def _outside(self, name: str, platform: Platform, place: Place) -> Origin:
        if name == "scratch":
            return Scratch()
        context = self._options.context(name)
        if context is not None:
            return self._of_context(context, platform)
        try:
            Reference.parse(name)
        except InputError as error:
            problem = f"{name!r} is neither a stage nor an image: {error}"
            raise error_at(self._dockerfile, place, problem) from None
        return ImageOrigin(name, ImageRequest(name, platform))

    def _of_context(self, context: ImageContext | ContextSource, platform: Platform) -> Origin:
        if isinstance(context, ContextSource):
            return context
        if context.name == "scratch":
            return Scratch()
        return ImageOrigin(context.name, ImageRequest(context.name, platform))

    def _platform(self, stage: Stage) -> Platform | None:
        written = stage.from_.platform
        if written is None:
            return None
        text = self._expanded(stage, written)
        try:
            return Platform.parse(text)
        except InputError as error:
            raise error_at(self._dockerfile, stage.from_.place, f"--platform={written}: {error}") from None

    def _expanded(self, stage: Stage, word: str) -> str:
        try:
            return expand(word, self._scope.lookup, self._dockerfile.escape)
        except InputError as error:
            raise error_at(self._dockerfile, stage.from_.place, str(error)) from None


def _names(instruction: Instruction) -> list[str]:
    if isinstance(instruction, Copy):
        return [instruction.from_] if instruction.from_ else []
    if isinstance(instruction, Run):
        return [
            mount.from_ for mount in instruction.mounts if mount.from_ and mount.kind in ("bind", "cache")
        ]
    return []


def _has_cache_mount(instruction: Instruction) -> bool:
    return isinstance(instruction, Run) and any(_begins_empty(mount) for mount in instruction.mounts)


def _begins_empty(mount: Mount) -> bool:
    return mount.kind == "cache" and not mount.from_
