"""What the rest of Shoal is given: `Settings`, one frozen dataclass a section.

No defaults here: they stand in the table (`fields.py`) and nowhere else, so every instance comes from
`parse_settings`. Sizes are bytes, durations seconds, rates bytes per second, whatever text they were written as.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from agent.content.reference import Repository
from agent.settings.address import Address, TcpAddress

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]


@dataclass(frozen=True, slots=True)
class NodeSettings:
    name: str
    zone: str
    rack: str
    data_dir: Path


@dataclass(frozen=True, slots=True)
class ProxySettings:
    listen: Address
    default_upstream: str  # a registry as in Repository.registry; one of the upstreams


@dataclass(frozen=True, slots=True)
class PeerSettings:
    listen: TcpAddress
    advertise: TcpAddress  # listen's where not given; its port is 0 only where listen's is
    upload_rate: int | None  # bytes per second; None: no limit
    download_rate: int | None  # bytes per second; None: no limit
    upload_slots: int
    download_slots: int
    neighbours: int
    in_flight_bytes: int


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    url: str  # no trailing slash; "": none, or the embedded one of `shoal up`
    listen: Address


@dataclass(frozen=True, slots=True)
class StoreSettings:
    quota: int | None  # bytes; None: no limit but the disk's
    floor_free: int  # bytes
    linger: float  # seconds


@dataclass(frozen=True, slots=True)
class TagRule:
    """How long answers about a tag may be reused. The first rule that matches decides."""

    pattern: str  # glob over the full `registry/name:tag`; * also matches /
    max_age: float  # seconds
    stale_if_error: bool

    def matches(self, tagged: str) -> bool:
        return fnmatchcase(tagged, self.pattern)


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    registry: str  # canonical, as Repository.registry
    url: str  # base URL without a trailing slash
    ca_file: Path | None
    allow_private_redirects: bool


@dataclass(frozen=True, slots=True)
class PushThroughRule:
    """What is pushed to the cluster's `prefix`, and below it, goes on to `target`."""

    prefix: str  # a repository's name; "*": all
    target: str  # REGISTRY or REGISTRY/NAME, canonical

    def target_of(self, name: str) -> Repository | None:
        """Where the cluster's repository `name` goes on to; None where the rule is not for it. Raises InputError for a
        name that its registry cannot have."""
        if self.prefix == "*":
            rest = name
        elif name == self.prefix or name.startswith(f"{self.prefix}/"):
            rest = name[len(self.prefix) + 1 :]
        else:
            return None
        registry, slash, beginning = self.target.partition("/")
        if not slash:
            return Repository.of(registry, name)
        return Repository.of(registry, f"{beginning}/{rest}" if rest else beginning)


@dataclass(frozen=True, slots=True)
class PushSettings:
    replicas: int  # nodes that hold a push when it is answered
    replica_timeout: float  # seconds
    upload_expiry: float  # seconds
    delete_tags: bool
    delete_manifests: bool
    delete_blobs: bool


@dataclass(frozen=True, slots=True)
class BuildSettings:
    share_cache: bool
    trusted_builders: tuple[str, ...]  # node ids in hex, or "*"
    keep_storage: int  # bytes


@dataclass(frozen=True, slots=True)
class CredentialsSettings:
    docker_config: tuple[Path, ...]  # (): the usual places of Docker and podman


@dataclass(frozen=True, slots=True)
class AdminSettings:
    socket: Path
    metrics_listen: Address | None  # None: /metrics stands on the proxy's listener


@dataclass(frozen=True, slots=True)
class StandbySettings:
    socket: Path | None


@dataclass(frozen=True, slots=True)
class LogSettings:
    level: LogLevel
    format: LogFormat


@dataclass(frozen=True, slots=True)
class SecuritySettings:
    cluster: str
    insecure_cluster: bool


@dataclass(frozen=True, slots=True)
class Settings:
    node: NodeSettings
    proxy: ProxySettings
    peer: PeerSettings
    tracker: TrackerSettings
    store: StoreSettings
    push: PushSettings
    build: BuildSettings
    credentials: CredentialsSettings
    admin: AdminSettings
    standby: StandbySettings
    log: LogSettings
    security: SecuritySettings
    tags: tuple[TagRule, ...]  # never empty; the last matches everything
    upstreams: tuple[UpstreamSettings, ...]  # never empty, no registry twice
    push_through: tuple[PushThroughRule, ...]  # no prefix twice
    # Where each key's value came from: "proxy.listen" -> "flag --proxy-listen", "default".
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def upstream_registries(self) -> frozenset[str]:
        return frozenset(upstream.registry for upstream in self.upstreams)

    def tag_rule_for(self, tagged: str) -> TagRule:
        """The rule for `registry/name:tag`."""
        return next(rule for rule in self.tags if rule.matches(tagged))

    def push_target_of(self, name: str) -> Repository | None:
        """Where what is pushed to the cluster's repository `name` goes on to; None: nowhere. Raises InputError for a
        name that the registry cannot have."""
        rules = sorted(self.push_through, key=lambda rule: len(rule.prefix) if rule.prefix != "*" else 0)
        found = [target for rule in rules if (target := rule.target_of(name)) is not None]
        return found[-1] if found else None
