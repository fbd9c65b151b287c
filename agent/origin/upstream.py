"""`Upstream`: one registry as configured, and the URL that a registry has where nothing is configured."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agent.content.errors import InputError
from agent.content.reference import DOCKER_HUB, Repository

_DOCKER_HUB_URL = "https://registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Upstream:
    """How one registry is reached.

    `registry` is canonical, as in Repository. `url` is the base that `/v2/` follows. `ca_file` holds further
    certificates to trust, beside the machine's. `trusted_realms` are hosts that may be given this registry's
    credentials although they are neither its own host nor of its domain.
    """

    registry: str
    url: str
    ca_file: Path | None = None
    allow_private_redirects: bool = False
    trusted_realms: tuple[str, ...] = ()
    max_connections: int = 16

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
            raise InputError(
                f"invalid URL for registry {self.registry}: expected https://HOST[:PORT] or http://HOST[:PORT]"
            )

    @classmethod
    def of(cls, registry: str) -> "Upstream":
        """The registry under its usual URL: https, and Docker Hub's own host."""
        return cls(registry, _DOCKER_HUB_URL if registry == DOCKER_HUB else f"https://{registry}")

    @property
    def host(self) -> str:
        """`host[:port]`, as error texts name it."""
        return urlsplit(self.url).netloc

    def url_of(self, repository: Repository, kind: str, target: str) -> str:
        """`target` is a tag or a digest, already checked: this only joins."""
        return f"{self.url.rstrip('/')}/v2/{repository.name}/{kind}/{target}"


def by_registry(upstreams: Sequence[Upstream]) -> dict[str, Upstream]:
    """Raises InputError where a registry is given twice."""
    found = {upstream.registry: upstream for upstream in upstreams}
    if len(found) != len(upstreams):
        raise InputError("a registry is configured twice")
    return found
