"""Rules across keys: what each allows alone and not together. PURE.

A rule takes the whole `Settings` and yields its findings. It is asked only when the keys it names were free of
mistakes, so that one mistake does not draw others after it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from urllib.parse import urlsplit

from agent.content.reference import CLUSTER_REGISTRY
from agent.settings.address import MAX_UNIX_PATH_BYTES, Address, TcpAddress
from agent.settings.mistake import Mistake
from agent.settings.settings import Settings

Findings = Iterator[tuple[str, str, str]]  # key, problem, remedy


@dataclass(frozen=True, slots=True)
class Rule:
    keys: tuple[str, ...]
    check: Callable[[Settings], Findings]


def listeners_of(settings: Settings) -> dict[str, Address]:
    listeners: dict[str, Address] = {
        "proxy.listen": settings.proxy.listen,
        "peer.listen": settings.peer.listen,
        "tracker.listen": settings.tracker.listen,
    }
    if settings.admin.metrics_listen is not None:
        listeners["admin.metrics_listen"] = settings.admin.metrics_listen
    return listeners


def listening_beyond_loopback_is_explicit(settings: Settings) -> Findings:
    if settings.security.insecure_cluster:
        return
    for key, address in listeners_of(settings).items():
        if not address.is_local:
            yield (
                key,
                f"{address} is reachable from other machines, and nothing there is encrypted or authenticated yet",
                (
                    "listen on 127.0.0.1 or a Unix socket, or accept that on a trusted network with "
                    "security.insecure_cluster = true"
                ),
            )


def listeners_do_not_collide(settings: Settings) -> Findings:
    for (first_key, first), (key, second) in combinations(listeners_of(settings).items(), 2):
        if _collide(first, second):
            yield key, f"{second} is already taken by {first_key} = {first}", "choose another port"


def _collide(one: Address, other: Address) -> bool:
    if not isinstance(one, TcpAddress) or not isinstance(other, TcpAddress):
        return one == other
    same_host = one.host == other.host or one.is_wildcard or other.is_wildcard
    return same_host and one.port == other.port != 0


def others_can_reach_what_they_are_told(settings: Settings) -> Findings:
    peer = settings.peer
    if peer.advertise == peer.listen and peer.listen.is_wildcard:
        yield (
            "peer.advertise",
            f"it is needed where peer.listen is a wildcard: other nodes cannot call {peer.listen}",
            f"set it to this node's own address, such as 10.0.0.7:{peer.listen.port}",
        )
    elif peer.advertise.is_wildcard:
        yield "peer.advertise", f"other nodes cannot call {peer.advertise}", "give this node's own address"
    elif peer.advertise.port == 0 and peer.advertise != peer.listen:
        yield "peer.advertise", "other nodes cannot call port 0", "give the port that reaches peer.listen"


def a_remote_tracker_is_told_a_reachable_address(settings: Settings) -> Findings:
    tracker_host = urlsplit(settings.tracker.url).hostname
    if tracker_host and not TcpAddress(tracker_host, 0).is_loopback and settings.peer.advertise.is_loopback:
        yield (
            "peer.advertise",
            (
                f"the tracker at {settings.tracker.url} would send other nodes to {settings.peer.advertise}, "
                "which for them is themselves"
            ),
            "set peer.listen (and peer.advertise, where it differs) to an address that other nodes reach",
        )


def the_default_upstream_is_an_upstream(settings: Settings) -> Findings:
    registries = [upstream.registry for upstream in settings.upstreams]
    if not registries:
        yield "upstreams", "no registry is left that may be asked", "give one at least, such as docker.io"
    elif settings.proxy.default_upstream not in registries:
        yield (
            "proxy.default_upstream",
            f"{settings.proxy.default_upstream} is not among the upstreams",
            f"add it to upstreams, or choose one of {', '.join(registries)}",
        )


def the_clusters_own_registry_is_no_upstream(settings: Settings) -> Findings:
    if any(upstream.registry == CLUSTER_REGISTRY for upstream in settings.upstreams):
        yield (
            "upstreams",
            f"{CLUSTER_REGISTRY} is the name of this cluster's own images, which no registry has",
            "take it out",
        )


def no_upstream_stands_twice(settings: Settings) -> Findings:
    registries = [upstream.registry for upstream in settings.upstreams]
    for registry in sorted({r for r in registries if registries.count(r) > 1}):
        yield "upstreams", f"{registry} stands {registries.count(registry)} times", "keep one of them"


def no_push_prefix_stands_twice(settings: Settings) -> Findings:
    prefixes = [rule.prefix for rule in settings.push_through]
    for prefix in sorted({one for one in prefixes if prefixes.count(one) > 1}):
        yield "push_through", f"{prefix} stands {prefixes.count(prefix)} times", "keep one of them"


def every_tag_pattern_is_reached(settings: Settings) -> Findings:
    patterns = [rule.pattern for rule in settings.tags]
    for number, pattern in enumerate(patterns, start=1):
        earlier = [p for p in patterns[: number - 1] if p in ("*", pattern)]
        if earlier:
            yield (
                "tags",
                f"pattern {pattern!r} (number {number}) never decides: {earlier[0]!r} stands before it",
                "the first match decides, so put the wider pattern last",
            )


def the_admin_socket_has_a_short_path(settings: Settings) -> Findings:
    length = len(str(settings.admin.socket).encode("utf-8", "surrogateescape"))
    if length > MAX_UNIX_PATH_BYTES:
        yield (
            "admin.socket",
            f"its path has {length} bytes, and a Unix socket's at most {MAX_UNIX_PATH_BYTES}",
            "set it to a shorter one, such as /run/shoal.sock",
        )


_LISTENERS = ("proxy.listen", "peer.listen", "tracker.listen", "admin.metrics_listen")
_PEER = ("peer.listen", "peer.advertise")

RULES: tuple[Rule, ...] = (
    Rule((*_LISTENERS, "security.insecure_cluster"), listening_beyond_loopback_is_explicit),
    Rule(_LISTENERS, listeners_do_not_collide),
    Rule(_PEER, others_can_reach_what_they_are_told),
    Rule((*_PEER, "tracker.url"), a_remote_tracker_is_told_a_reachable_address),
    Rule(("upstreams", "proxy.default_upstream"), the_default_upstream_is_an_upstream),
    Rule(("upstreams",), no_upstream_stands_twice),
    Rule(("upstreams",), the_clusters_own_registry_is_no_upstream),
    Rule(("push_through",), no_push_prefix_stands_twice),
    Rule(("tags",), every_tag_pattern_is_reached),
    Rule(("admin.socket", "node.data_dir"), the_admin_socket_has_a_short_path),
)


def broken_rules(settings: Settings, mistaken: frozenset[str]) -> list[Mistake]:
    """`mistaken` are the keys with mistakes of their own; their values in `settings` are stand-ins."""
    return [
        Mistake(key, settings.sources.get(key, "default"), problem, remedy)
        for rule in RULES
        if mistaken.isdisjoint(rule.keys)
        for key, problem, remedy in rule.check(settings)
    ]
