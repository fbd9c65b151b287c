"""What a plan is made from beside the Dockerfile: `PlanOptions`, and the images it builds upon. PURE."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.content.image_config import ImageConfig
from agent.content.platform import Platform
from agent.content.reference import Reference
from builder.dockerfile.ignore import IgnorePatterns
from builder.plan.layer import Chain
from builder.plan.steps import ContextSource


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """`name`: as the Dockerfile has it, expanded (what a short name means is the store's matter), or as a context's."""

    name: str
    platform: Platform


@dataclass(frozen=True, slots=True)
class BaseImage:
    """`name`: as it is shown and recorded; `digest`: of the manifest, None where it has none. is_known: somebody has
    looked at it, and its config is not merely what any image may have."""

    name: str
    platform: Platform
    config: ImageConfig
    layers: Chain
    digest: Digest | None = None
    is_known: bool = True


def unknown_image(request: ImageRequest) -> BaseImage:
    """For a check, which gets no image: nothing is said of what an image may well have, such as variables."""
    config = ImageConfig(request.platform, (), (), None, "", {}, {})
    return BaseImage(request.name, request.platform, config, (), is_known=False)


Images = Mapping[ImageRequest, BaseImage]


@dataclass(frozen=True, slots=True)
class ImageContext:
    """`--build-context NAME=docker-image://REF`; `scratch` is possible."""

    name: str


NamedContext = ImageContext | ContextSource
"""What stands for a stage's or an image's name: an image, or files that the caller knows by the context's name."""


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """no_cache: all stages, or those of these names. epoch: seconds, of every timestamp that the build makes.
    epoch_of_images: where nothing else tells it, that is the time of the newest image that is built upon.

    contexts: by name, as the user gave it. platform_given: somebody asked for it, so the image says so even where its
    base is another one's. many_platforms: titles tell which. build_args: proxies among them. hosts: name and address.
    ignore: of the main context, for warnings. context_epoch: seconds, of its last change, where something tells.
    every_stage: where no target is named, also those that it does not reach, for warnings.
    """

    platform: Platform
    build_platform: Platform
    target: str | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, NamedContext] = field(default_factory=dict)
    no_cache: bool | tuple[str, ...] = False
    network: str = "default"
    epoch: int | None = None
    epoch_of_images: bool = False
    hosts: tuple[tuple[str, str], ...] = ()
    platform_given: bool = False
    many_platforms: bool = False
    ignore: IgnorePatterns = field(default_factory=IgnorePatterns)
    context_epoch: int | None = None
    every_stage: bool = False

    def context(self, name: str) -> NamedContext | None:
        """BuildKit's dockerui/namedcontext.go: names are compared as familiar ones, without `:latest`."""
        if name.lower() in ("scratch", "context"):
            return None
        wanted = familiar_name(name)
        found = [value for key, value in self.contexts.items() if familiar_name(key) == wanted]
        return found[-1] if found else None

    def caches(self, stage_name: str | None) -> bool:
        if isinstance(self.no_cache, bool):
            return not self.no_cache
        return (stage_name or "").lower() not in [name.lower() for name in self.no_cache]


def familiar_name(name: str) -> str:
    """`docker.io/library/alpine:latest` is `alpine`; what is no reference stays as it is."""
    try:
        reference = Reference.parse(name)
    except InputError:
        return name.lower()
    tag = f":{reference.tag}" if reference.tag not in (None, "latest") else ""
    digest = f"@{reference.digest}" if reference.digest else ""
    return f"{reference.repository.familiar}{tag}{digest}"
