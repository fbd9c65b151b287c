"""`UpstreamRules`: which registries may be asked for on a client's behalf. PURE.

Only what the configuration lists: without that a mirror would be an open proxy into every network it can reach.
"""

from dataclasses import dataclass

from agent.content.reference import DOCKER_HUB
from registry_proxy.errors import ErrorCode, RequestRefused

_MAX_NAMED = 20


@dataclass(frozen=True, slots=True)
class UpstreamRules:
    """`allowed` and `default_registry` are canonical, as Repository.registry is."""

    allowed: frozenset[str]
    default_registry: str = DOCKER_HUB
    setting: str = "upstreams"
    """The configuration key that lists them, for the message."""

    def check(self, registry: str) -> None:
        """Raises RequestRefused (404, so that clients go on to the next host)."""
        if registry in self.allowed:
            return
        names = sorted(self.allowed)
        listed = ", ".join(names[:_MAX_NAMED]) + (", ..." if len(names) > _MAX_NAMED else "")
        raise RequestRefused(
            f"registry {registry} is not among the upstreams of this mirror ({listed or 'there are none'}); "
            f"add it under {self.setting!r} in the configuration",
            ErrorCode.NAME_UNKNOWN,
            404,
        )
