"""Image references: which registry, which repository, which tag or digest.

`Repository` and `Reference` are parsed once at the edge; what exists is well formed and canonical
(docker.io's short names are spelled out: `alpine` is `docker.io/library/alpine:latest`), so URLs may be
built from them. Grammar: OCI distribution-spec 1.1 "Pulling manifests"; host rule and defaults as Docker's.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address

from agent.content.digest import Digest
from agent.content.errors import InputError

DOCKER_HUB = "docker.io"
# The images of this cluster (pushed, built, loaded) are under this name in every index: it is no host that anybody is
# asked at, so they cannot be confused with an upstream's.
CLUSTER_REGISTRY = "cluster.shoal"
_HUB_ALIASES = frozenset(
    {"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com"}
)

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?P<ipv6>[0-9a-fA-F:.]+)\])(?::(?P<port>[0-9]{{1,5}}))?")
_MAX_NAME_LENGTH = 255
_MAX_PORT = 65535


def parse_registry(text: str) -> str:
    """A registry's canonical `host[:port]`, lowercased. Raises InputError."""
    match = _HOST.fullmatch(text) if len(text) <= _MAX_NAME_LENGTH else None
    if match is None or not _is_ipv6(match["ipv6"]) or not 0 < int(match["port"] or 1) <= _MAX_PORT:
        raise InputError(f"invalid registry host {text[:100]!r}: expected HOST or HOST:PORT")
    host = text.lower()
    return DOCKER_HUB if host in _HUB_ALIASES else host


def _is_ipv6(text: str | None) -> bool:
    """True where there is none, too."""
    try:
        return text is None or bool(IPv6Address(text))
    except AddressValueError:
        return False


def is_tag(text: str) -> bool:
    return _TAG.fullmatch(text) is not None


def looks_like_registry(component: str) -> bool:
    """Docker's rule for the first component of a name: a host has a dot or a port, or is `localhost`.

    (Docker takes one with a capital for a host, too; hosts are lowercase here, so that would not come back the same.)
    """
    return "." in component or ":" in component or component == "localhost" or component.startswith("[")


@dataclass(frozen=True, slots=True, order=True)
class Repository:
    """`name` on `registry`. `registry` is canonical: `docker.io`, never `registry-1.docker.io`."""

    registry: str
    name: str

    @classmethod
    def of(cls, registry: str, name: str) -> "Repository":
        """Raises InputError. docker.io's official images get their `library/`."""
        host = parse_registry(registry)
        if host == DOCKER_HUB and "/" not in name:
            name = f"library/{name}"
        if len(host) + 1 + len(name) > _MAX_NAME_LENGTH or not _NAME.fullmatch(name):
            raise InputError(
                f"invalid repository name {name[:100]!r}: lowercase letters, digits and single separators . _ - / "
                f"are allowed, at most {_MAX_NAME_LENGTH} characters with the registry"
            )
        return cls(host, name)

    @property
    def is_of_cluster(self) -> bool:
        """Its images come from nodes of this cluster alone: there is no registry to ask."""
        return self.registry == CLUSTER_REGISTRY

    @property
    def familiar(self) -> str:
        """As Docker shows it: `alpine`, `grafana/loki`, `quay.io/team/app`."""
        if self.registry != DOCKER_HUB:
            return str(self)
        rest = self.name.removeprefix("library/")
        return self.name if "/" in rest else rest

    def __str__(self) -> str:
        return f"{self.registry}/{self.name}"


BUILD_CACHE = Repository(CLUSTER_REGISTRY, "build-cache")
"""Where nodes tell each other the results of build steps. What stands here is no image, and holds nothing."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An image: a repository and a tag, a digest, or both (then the digest decides)."""

    repository: Repository
    tag: str | None
    digest: Digest | None

    @classmethod
    def parse(cls, text: str, default_registry: str = DOCKER_HUB) -> "Reference":
        """`[registry/]name[:tag][@digest]`; the tag is `latest` where neither is given. Raises InputError."""
        if not text or text != text.strip():
            raise InputError(
                f"invalid image reference {text[:150]!r}: expected [REGISTRY/]NAME[:TAG][@DIGEST]"
            )
        rest, at, digest_text = text.partition("@")
        digest = Digest.parse(digest_text) if at else None
        start = rest.rfind(":", rest.rfind("/") + 1)
        path, tag = (rest, None) if start < 0 else (rest[:start], rest[start + 1 :])
        if tag is not None and not is_tag(tag):
            raise InputError(
                f"invalid tag {tag[:150]!r} in {text[:150]!r}: up to 128 letters, digits and . _ -"
            )
        first, slash, name = path.partition("/")
        if not slash or not looks_like_registry(first):
            first, name = default_registry, path
        return cls(Repository.of(first, name), tag or (None if digest else "latest"), digest)

    @property
    def target(self) -> str:
        """What stands after `/manifests/` in a URL: the digest where there is one, else the tag."""
        return str(self.digest or self.tag)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"
