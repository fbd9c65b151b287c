"""What people call images on the command line, and what the store calls them. PURE.

- A name without a registry is an image of this cluster where there is one, else Docker Hub's: what was loaded, built or
  tagged here is meant before what could be pulled.
- A name that is given here (`tag`, `load`, `import`, `commit`) without a registry is the cluster's, never Docker Hub's,
  so that nothing made here passes for an upstream's image. The endpoint's own address, as `docker push` wants it, says
  nothing more: `127.0.0.1:5050/team/app` is `team/app`.
"""

from collections.abc import Collection

from agent.content.errors import InputError
from agent.content.reference import (
    BUILD_CACHE,
    CLUSTER_REGISTRY,
    DOCKER_HUB,
    Reference,
    Repository,
    looks_like_registry,
)

UNTAGGED = Repository.of(CLUSTER_REGISTRY, "untagged")
"""Where images without a name are kept."""

_KEPT = {UNTAGGED: "images without one", BUILD_CACHE: "the results of build steps"}

_OWN_HOSTS = ("localhost", "127.0.0.1", "[::1]")


def lookup_order(text: str) -> list[Reference]:
    """What `text` may mean, most likely first. Raises InputError."""
    if _names_registry(text):
        plain = Reference.parse(text)
        own = _without_own_host(text)
        return [plain] if own is None else [Reference.parse(own, CLUSTER_REGISTRY), plain]
    return [Reference.parse(text, CLUSTER_REGISTRY), Reference.parse(text, DOCKER_HUB)]


def given_name(text: str, upstreams: Collection[str] = ()) -> Reference:
    """What an image is to be called that is named `text` here. A registry on this machine that is one of the upstreams
    is not this node's endpoint. Raises InputError."""
    own = None if text.partition("/")[0] in upstreams else _without_own_host(text)
    reference = Reference.parse(text if own is None else own, CLUSTER_REGISTRY)
    if reference.digest is not None:
        raise InputError(f"{text[:150]!r} has a digest: an image is named by NAME[:TAG]")
    if reference.repository in _KEPT:
        raise InputError(f"the name {reference.repository.name!r} is kept for {_KEPT[reference.repository]}")
    return reference


def archived_name(text: str) -> Reference:
    """What an image is called that an archive names `text`: Docker's archives never say Docker Hub and mean it."""
    hub = Reference.parse(text, DOCKER_HUB)
    if hub.repository.registry != DOCKER_HUB:
        return given_name(text)
    return given_name(f"{hub.repository.familiar}:{hub.tag}" if hub.digest is None else text)


def name_in_archive(repository: Repository, tag: str) -> str:
    """What Docker would write for it."""
    return f"{plain_name(repository)}:{tag}"


def name_for_containerd(repository: Repository, tag: str) -> str:
    """containerd wants every name in full."""
    return str(Reference.parse(name_in_archive(repository, tag)))


def plain_name(repository: Repository) -> str:
    """Without the registry where people leave it out: the cluster's and Docker Hub's."""
    return repository.name if repository.is_of_cluster else repository.familiar


def shown_name(repository: Repository, known: Collection[Repository]) -> str:
    """The shortest name that leads to this repository among those that are `known`."""
    short = plain_name(repository)
    if repository.is_of_cluster or not any(one.is_of_cluster and one.name == short for one in known):
        return short
    return str(repository)


def _names_registry(text: str) -> bool:
    first, slash, _ = text.partition("/")
    return bool(slash) and looks_like_registry(first)


def _without_own_host(text: str) -> str | None:
    first, slash, rest = text.partition("/")
    host = first.rpartition(":")[0] or first
    return rest if slash and (host in _OWN_HOSTS or first in _OWN_HOSTS) else None
