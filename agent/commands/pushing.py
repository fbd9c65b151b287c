"""`push_to_registry`: where and with which credentials `shoal push` and `shoal copy` push."""

import click

from agent.content.errors import InputError
from agent.content.reference import Reference
from agent.images.push_upstream import push_upstream
from agent.images.pushing import PushPlan, PushView, StoredSessions, mount_sources, push_image
from agent.origin.credentials import CredentialStore
from agent.origin.pusher import open_pusher
from agent.settings.settings import Settings
from agent.store.store import Store


def push_target(text: str) -> Reference:
    """A name without a registry is Docker Hub's, as everywhere outside of a store. Raises InputError."""
    target = Reference.parse(text)
    if target.digest is not None:
        raise InputError(f"{text[:150]!r} has a digest: push to NAME[:TAG]")
    return checked_target(target)


def checked_target(target: Reference) -> Reference:
    """Raises InputError."""
    if target.repository.is_of_cluster:
        raise InputError(
            f"{target.repository.name} is an image of this cluster, which has no registry: "
            f"name one, such as registry.example/{target.repository.name}"
        )
    return target


async def push_to_registry(
    settings: Settings, store: Store, plan: PushPlan, target: Reference, view: PushView
) -> None:
    """Raises ShoalError."""
    sources = mount_sources(store, target.repository, plan.blobs)
    async with open_pusher(
        push_upstream(settings, target.repository.registry),
        target.repository,
        CredentialStore.of_machine(settings.credentials.docker_config),
        sources=sorted(set(sources.values())),
        sessions=StoredSessions(store),
    ) as pusher:
        await push_image(store, plan, pusher, target.tag or str(plan.root.digest), sources, view)


def tell_left_out(plan: PushPlan) -> None:
    """The digest is another one than the name has here: whoever pushes should know why."""
    if plan.left_out is not None:
        click.echo(
            f"shoal: not all platforms of {plan.left_out} are here: {plan.root.digest} is pushed alone",
            err=True,
        )
