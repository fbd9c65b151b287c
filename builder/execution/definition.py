"""`Definition`: what is to be built, as it was read: the Dockerfile, and the contexts that it takes files from."""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import trio

from agent.content.errors import InputError
from agent.content.reference import Reference
from agent.store.store import Store
from builder.dockerfile.instructions import Dockerfile
from builder.dockerfile.parser import parse_dockerfile
from builder.plan.options import ImageContext, NamedContext
from builder.plan.steps import ContextSource
from builder.progress.events import Reporter, Task
from builder.request import BuildRequest
from builder.sources.context import BuildContext, ContextRequest, open_context, open_named_context
from builder.sources.layout import TRANSPORT, borrow_layout, parse_layout

_IMAGE = "docker-image://"


@dataclass(frozen=True, slots=True)
class Definition:
    """contexts: by name, None the main one. named: what stands for names in the Dockerfile. task: it was read in."""

    dockerfile: Dockerfile
    contexts: Mapping[str | None, BuildContext]
    named: Mapping[str, NamedContext]
    task: Task


async def read_definition(
    request: BuildRequest,
    new_directory: Callable[[str], Path],
    reporter: Reporter,
    environment: Mapping[str, str],
    store: Store | None,
    stack: ExitStack,
) -> Definition:
    """new_directory: of ContextRequest. stack: what is taken into the store for this build leaves it with the stack.
    store None: for a check, which takes nothing, and which anybody may do. Raises InputError, with the place in the
    Dockerfile, SourceError, ContentError, DiskError."""
    owner = (os.getuid(), os.getgid()) if store is None else None
    wanted = ContextRequest(request.context, request.file, new_directory, dict(environment), owner=owner)
    contexts: dict[str | None, BuildContext] = {}
    named: dict[str, NamedContext] = {}
    with reporter.running("[internal] load build definition and context") as task:
        contexts[None] = main = await open_context(wanted)
        for name, where in request.contexts.items():
            try:
                found = await _named_context(where, wanted, store, stack)
            except InputError as error:
                raise InputError(f"--build-context {name}={where}: {error}") from None
            named[name] = ContextSource(name) if isinstance(found, BuildContext) else found
            if isinstance(found, BuildContext):
                contexts[name] = found
        assert main.dockerfile is not None
        return Definition(parse_dockerfile(main.dockerfile, main.dockerfile_name), contexts, named, task)


async def _named_context(
    where: str, wanted: ContextRequest, store: Store | None, stack: ExitStack
) -> BuildContext | ImageContext:
    if where.startswith(_IMAGE):
        image = where.removeprefix(_IMAGE)
        Reference.parse(image)
        return ImageContext(image)
    if where.startswith(TRANSPORT):
        layout = where.removeprefix(TRANSPORT)
        if store is None:
            parse_layout(layout)
            return ImageContext("oci-layout")
        return ImageContext(await trio.to_thread.run_sync(borrow_layout, layout, store, stack))
    return await open_named_context(where, wanted)
