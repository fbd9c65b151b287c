"""`Definition`: what is to be built, as it was read: the Dockerfile, and the contexts that it takes files from."""

from collections.abc import Mapping
from dataclasses import dataclass

from builder.dockerfile.instructions import Dockerfile
from builder.dockerfile.parser import parse_dockerfile
from builder.execution.work_area import WorkArea
from builder.plan.options import ImageContext, NamedContext
from builder.plan.steps import ContextSource
from builder.progress.events import Reporter
from builder.request import BuildRequest
from builder.sources.context import BuildContext, ContextRequest, open_context, open_named_context

_IMAGE = "docker-image://"


@dataclass(frozen=True, slots=True)
class Definition:
    """contexts: by name, None the main one. named: what stands for names in the Dockerfile."""

    dockerfile: Dockerfile
    contexts: Mapping[str | None, BuildContext]
    named: Mapping[str, NamedContext]


async def read_definition(
    request: BuildRequest, area: WorkArea, reporter: Reporter, environment: Mapping[str, str]
) -> Definition:
    """Raises InputError, with the place in the Dockerfile, SourceError, ContentError, DiskError."""
    wanted = ContextRequest(request.context, request.file, area.directory("contexts"), dict(environment))
    contexts: dict[str | None, BuildContext] = {}
    named: dict[str, NamedContext] = {}
    with reporter.running("[internal] load build definition and context"):
        contexts[None] = main = await open_context(wanted)
        for name, where in request.contexts.items():
            if where.startswith(_IMAGE):
                named[name] = ImageContext(where.removeprefix(_IMAGE))
            else:
                named[name] = ContextSource(name)
                contexts[name] = await open_named_context(where, wanted)
        assert main.dockerfile is not None
        return Definition(parse_dockerfile(main.dockerfile, main.dockerfile_name), contexts, named)
