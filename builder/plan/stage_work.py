"""`StageWork`: one stage while its instructions are gone through: environment, configuration, the step on top. PURE.

The environment that words are expanded with is BuildKit's: the base image's ENV, then ARG and ENV as they come, the
later one over the earlier; a stage that begins with another one has that one's ARGs too.
"""

from dataclasses import dataclass, field
from math import log10

from agent.content.errors import InputError
from agent.content.platform import Platform
from builder.dockerfile.failure import did_you_mean
from builder.dockerfile.instructions import Dockerfile, Instruction, Place, Warning
from builder.dockerfile.words import expand, expand_words, variables_in
from builder.plan.image_draft import ImageDraft
from builder.plan.layer import Chain
from builder.plan.options import Images, PlanOptions
from builder.plan.scope import GlobalScope
from builder.plan.stage_graph import ImageOrigin, Node, Scratch, StageGraph, StageOrigin
from builder.plan.steps import ContextSource, FileSource, ImageSource, Operation, Step, StepSource


@dataclass(slots=True)
class PlanWork:
    """What the stages of a plan share. tops: per finished stage, by position, its last step."""

    dockerfile: Dockerfile
    options: PlanOptions
    images: Images
    scope: GlobalScope
    graph: StageGraph
    steps: list[Step] = field(default_factory=list)
    stages: dict[int, "StageWork"] = field(default_factory=dict)
    warnings: list[Warning] = field(default_factory=list)

    def warn(self, rule: str, message: str, place: Place) -> None:
        self.warnings.append(Warning(rule, message, place))


@dataclass(slots=True)
class StageWork:
    """arguments: the ARGs so far, None where one has no value. top: the step whose files the stage has now.

    index, total: of the titles. fired: the instruction is a trigger. command_set: by a CMD of this stage.
    unsure: the instruction has a variable that an image which nobody has looked at may have.
    """

    plan: PlanWork
    node: Node
    image: ImageDraft
    total: int
    environment: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str | None] = field(default_factory=dict)
    top: int | None = None
    index: int = 0
    fired: bool = False
    command_set: bool = False
    unsure: bool = False

    def word(self, word: str, place: Place) -> str:
        """Expanded. Raises InputError."""
        self._check_variables(word, place)
        return expand(word, self.environment.get, self.plan.dockerfile.escape)

    def words(self, word: str, place: Place) -> list[str]:
        """What it falls into when it is expanded."""
        self._check_variables(word, place)
        return expand_words(word, self.environment.get, self.plan.dockerfile.escape)

    def shown(self, instruction: Instruction) -> str:
        """In a title: expanded, but for what cannot be."""
        try:
            return expand(instruction.text, self.environment.get, self.plan.dockerfile.escape)
        except InputError:
            return instruction.text

    def absolute(self, path: str) -> str:
        """Relative to WORKDIR, cleaned, without the slash at the end that `path` may have."""
        return clean(path if path.startswith("/") else f"{self.image.directory}/{path}")

    def file_source(self, name: str | None, place: Place) -> FileSource:
        """What `--from=name` means; None: the build context. Raises DockerfileError."""
        if name is None:
            return ContextSource()
        origin = self.plan.graph.source(name, self.node, place)
        match origin:
            case StageOrigin(position):
                top = self.plan.stages[position].top
                assert top is not None, "a stage that is done has a step"
                return StepSource(top)
            case ImageOrigin(_, request):
                return ImageSource(self.plan.images[request].name, self.plan.images[request].layers)
            case Scratch():
                return ImageSource("scratch", ())
        return origin

    def add_step(
        self, text: str, line: int, operation: Operation | None, layers: Chain = (), title: str | None = None
    ) -> int:
        """On top of what there is. `text` stands in the title, after its `[stage 2/5]`."""
        number = len(self.plan.steps)
        options = self.plan.options
        self.plan.steps.append(
            Step(
                number=number,
                title=self._title(text) if title is None else title,
                base=self.top,
                layers=layers,
                operation=operation,
                platform=str(self.node.platform),
                stage=self.node.shown_name,
                line=line,
                no_cache=operation is not None and not options.caches(self.node.stage.name),
                epoch=options.epoch,
            )
        )
        self.top = number
        return number

    def _title(self, text: str) -> str:
        if self.total == 0:
            return text
        self.index += 1
        width = int(1 + log10(self.total))
        name = "" if self.plan.graph.has_one_state else f"{self.node.shown_name} "
        platform = f"{self._shown_platform()} " if self.plan.options.many_platforms else ""
        trigger = "ONBUILD " if self.fired else ""
        return f"[{platform}{name}{self.index:>{width}}/{self.total}] {trigger}{text}"

    def _shown_platform(self) -> str:
        """`linux/amd64->arm64` where it runs here and builds for there, as far as ARGs of the stage tell."""
        own, target = self.node.platform, _told_platform(self.environment, self.node.platform)
        if target is None or (target.os, target.architecture) == (own.os, own.architecture):
            return str(own)
        other = str(target) if target.os != own.os else str(target).partition("/")[2]
        return f"{own}->{other}"

    def _check_variables(self, word: str, place: Place) -> None:
        if "$" not in word:
            return
        self.unsure = not self.image.is_known
        for name in sorted(variables_in(word, self.plan.dockerfile.escape)):
            if name in self.environment or name in self.arguments:
                continue
            theirs = () if self.image.is_known else ("PATH",)  # $GOPATH of Go's image is no mistake for it
            near_names = [one for one in self.environment if one not in theirs]
            hint = did_you_mean(name, near_names) if near_names else ""
            near = f" ({hint.replace('mean ', 'mean $')})" if hint.startswith("did you mean") else ""
            if not near and not self.image.is_known:
                continue
            self.plan.warn("UndefinedVar", f"Usage of undefined variable '${name}'{near}", place)


def clean(path: str) -> str:
    """Go's path.Clean of a rooted path: no `.`, no `..`, no doubled slash; never above the root."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return f"/{'/'.join(parts)}"


def _told_platform(environment: dict[str, str], own: Platform) -> Platform | None:
    if "TARGETPLATFORM" in environment:
        try:
            return Platform.parse(environment["TARGETPLATFORM"])
        except InputError:
            return None
    if not {"TARGETOS", "TARGETARCH"} & environment.keys():
        return None
    variant = environment.get("TARGETVARIANT") or None
    return Platform(
        environment.get("TARGETOS") or own.os, environment.get("TARGETARCH") or own.architecture, variant
    )
