"""`push_upstream`: how a registry is reached that is pushed to.

One that is not among the upstreams is pushed to all the same: it is named by whoever runs this node, and not by a
client of it. It is reached by https, on this machine itself by http, as Docker does.
"""

from ipaddress import ip_address

from agent.origin.upstream import Upstream
from agent.settings.settings import Settings


def push_upstream(settings: Settings, registry: str) -> Upstream:
    for one in settings.upstreams:
        if one.registry == registry:
            return Upstream(one.registry, one.url, one.ca_file, one.allow_private_redirects)
    return Upstream(registry, f"http://{registry}") if _is_here(registry) else Upstream.of(registry)


def _is_here(registry: str) -> bool:
    host = registry if registry.endswith("]") else registry.rpartition(":")[0] or registry
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
