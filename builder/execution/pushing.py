"""`push_image_to`: an image of the store into the registry that a name names, as `shoal push` does."""

from collections.abc import Callable

from agent.commands.push_lines import PushLines
from agent.content.errors import InputError
from agent.content.reference import Reference, looks_like_registry
from agent.images.local_image import LocalImage
from agent.settings.settings import Settings
from agent.store.store import Store


def registry_of(name: str) -> Reference:
    """Where an image of this name is pushed to. Raises InputError."""
    first, slash, _ = name.partition("/")
    if not slash or not looks_like_registry(first):
        raise InputError(
            f"--output push=true: {name[:150]!r} is a name in this cluster, which needs no push; "
            f"a registry's begins with it, as in registry.example/{name[:150]}"
        )
    return Reference.parse(name)


async def push_image_to(
    settings: Settings, store: Store, image: LocalImage, target: Reference, tell: Callable[[str], None]
) -> None:
    """tell: takes a line a layer. Raises ShoalError."""
    from agent.commands.pushing import push_to_registry  # an HTTP client, which hardly a build needs
    from agent.images.pushing import plan_push

    plan = plan_push(store, image)
    view = PushLines(tell)
    view.begin([blob for blob in plan.blobs if blob.digest in plan.layers])
    await push_to_registry(settings, store, plan, target, view)
