"""`shoal push`: images of this node's store into the registry that a name names, with Docker's lines."""

import json
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from agent.commands.exit_codes import exit_code_of
from agent.commands.local_store import local_store
from agent.commands.push_lines import PushedBlob, PushLines
from agent.commands.running import config_flag, load, run_async
from agent.commands.sectioned_command import SectionedCommand
from agent.content.errors import InputError, NotFound, ShoalError
from agent.content.redaction import redact
from agent.content.reference import Reference, looks_like_registry
from agent.images.catalog import Catalog, Found
from agent.images.local_image import LocalImage
from agent.settings.flags import settings_flags
from agent.settings.settings import Settings
from agent.store.store import Store


@click.command(cls=SectionedCommand)
@click.argument("image", metavar="IMAGE")
@click.argument("target", required=False, metavar="[TARGET]")
@click.option("--all-tags", "-a", is_flag=True, help="Push every tag of the repository that IMAGE names.")
@click.option("--quiet", "-q", is_flag=True, help="Print the image's name alone, at the end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object an image, at its end.")
@config_flag
@settings_flags("node", "store", "credentials", "upstreams")
def push(
    image: str,
    target: str | None,
    all_tags: bool,
    quiet: bool,
    as_json: bool,
    config_file: Path | None,
    **flags: object,
) -> None:
    """Push an image of this node's store to its registry.

    To the registry that TARGET names, or IMAGE's own name. What is there already is not sent again, and what another
    repository of that registry has is mounted from there. Everything stays as it is, byte for byte. Of an index every
    platform is pushed where all are here, else the one of this machine.

    \b
    Examples:
      shoal push registry.example/team/app:1
      shoal push app:1 registry.example/team/app:1
      shoal push --all-tags app registry.example/team/app
      shoal push --json app:1 docker.io/me/app | jq .digest

    Exit codes: 0 done, 2 mistaken name, 3 no such image or repository, 4 credentials, 5 registry unreachable, 6 disk,
    7 damaged or not here completely, 130 interrupted.
    """
    settings = load(config_file, flags, logs=False)
    with local_store(settings) as store:
        run_async(_push, settings, store, image, target, all_tags, quiet, as_json)


async def _push(
    settings: Settings,
    store: Store,
    text: str,
    target_text: str | None,
    all_tags: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    catalog = Catalog.of(store)
    if all_tags:
        wanted = _all_tags(catalog, text, target_text)
    else:
        found = catalog.find(text)
        wanted = [(found.image, _target(found, text, target_text))]
    for image, target in wanted:
        await _push_one(settings, store, image, target, quiet, as_json)


def _all_tags(catalog: Catalog, text: str, target_text: str | None) -> list[tuple[LocalImage, Reference]]:
    """In the order of the tags. Raises InputError, NotFound."""
    from agent.commands.pushing import checked_target, push_target

    for one in filter(None, (text, target_text)):
        if "@" in one or ":" in one.rpartition("/")[2]:
            raise InputError(f"{one[:150]!r} has a tag or a digest: with --all-tags name a repository alone")
    images = sorted(catalog.named(text), key=lambda image: image.tag or "")
    if not images:
        raise NotFound(f"No such repository: {text}")
    repository = images[0].repository if target_text is None else push_target(target_text).repository
    return [(image, checked_target(Reference(repository, image.tag, None))) for image in images]


async def _push_one(
    settings: Settings, store: Store, image: LocalImage, target: Reference, quiet: bool, as_json: bool
) -> None:
    from agent.commands.pushing import push_to_registry, tell_left_out  # --help needs no HTTP client
    from agent.images.pushing import plan_push

    began = time.monotonic()
    try:
        plan = plan_push(store, image)
        tell_left_out(plan)
        if not quiet and not as_json:
            click.echo(f"The push refers to repository [{target.repository}]")
        with _silent_view() if quiet or as_json else _view() as view:
            view.begin([blob for blob in plan.blobs if blob.digest in plan.layers])
            await push_to_registry(settings, store, plan, target, view)
    except ShoalError as error:
        if as_json:
            click.echo(json.dumps(_failure_json(target, error)))
        raise
    root = plan.root
    size = len(plan.documents[-1][1])
    if as_json:
        told = {"digest": str(root.digest), "size": size, "media_type": plan.documents[-1][0].media_type}
        click.echo(json.dumps(_report(target, time.monotonic() - began, view.blobs) | told))
    elif quiet:
        click.echo(target)
    else:
        click.echo(f"{target.target}: digest: {root.digest} size: {size}")


def _target(found: Found, text: str, target_text: str | None) -> Reference:
    """Raises InputError."""
    from agent.commands.pushing import checked_target, push_target

    if target_text is not None:
        return push_target(target_text)
    first, slash, _ = text.partition("/")
    if not found.by_name:
        raise InputError(f"{text} is an ID, and no name: say where to, as in `shoal push ID NAME[:TAG]`")
    if slash and looks_like_registry(first):
        return checked_target(Reference.parse(text))
    image = found.image
    digest = image.root.digest if "@" in text or image.tag is None else None
    return checked_target(Reference(image.repository, None if digest else image.tag, digest))


def _view() -> AbstractContextManager[PushLines]:
    if not sys.stdout.isatty():
        return PushLines(click.echo)
    from rich.console import Console  # for terminals alone

    from agent.commands.push_live import LivePush

    return LivePush(Console(highlight=False))


def _silent_view() -> AbstractContextManager[PushLines]:
    return PushLines(lambda _: None)


def _report(target: Reference, seconds: float, blobs: list[PushedBlob]) -> dict[str, Any]:
    return {
        "reference": str(target),
        "status": "pushed",
        "seconds": round(seconds, 3),
        "sent_bytes": sum(one.size for one in blobs if one.state == "pushed"),
        "blobs": [{"digest": str(one.digest), "size": one.size, "state": one.state} for one in blobs],
    }


def _failure_json(target: Reference, error: ShoalError) -> dict[str, Any]:
    return {
        "reference": str(target),
        "status": "failed",
        "error": redact(str(error)),
        "kind": type(error).__name__,
        "exit_code": exit_code_of(error),
    }
