"""Whether the token server that a registry names may have that registry's credentials. PURE.

The realm comes from the registry, so a hostile one could name any host and collect what we hold (threat: credentials
collected elsewhere). Credentials go to the registry's own host, to its registrable domain, or to a host that the
configuration trusts; over https, unless the registry itself is http. A realm elsewhere is asked anonymously: vanity
names in front of public registries work like that (lscr.io names ghcr.io). Where that leads inward, network.py refuses.
"""

import enum
from collections.abc import Collection
from urllib.parse import urlsplit

from agent.content.errors import SourceError
from agent.origin.address_rule import parse_address
from agent.origin.plain_url import is_plain_url
from agent.origin.registrable_domain import same_registrable_domain


class RealmTrust(enum.Enum):
    WITH_CREDENTIALS = "with credentials"
    ANONYMOUS = "anonymously"


def judge_realm(registry_url: str, realm: str, trusted_hosts: Collection[str] = ()) -> RealmTrust:
    """Raises SourceError where the realm must not be asked at all."""
    if not is_plain_url(realm):
        raise SourceError("names a token server with an unusable URL")
    registry, target = urlsplit(registry_url), urlsplit(realm)
    host = target.hostname or ""
    if target.scheme != "https" and registry.scheme == "https":
        raise SourceError(f"names a token server without TLS ({host})")
    if host == registry.hostname:
        return RealmTrust.WITH_CREDENTIALS
    if parse_address(host) is not None:
        raise SourceError(f"names a token server by an address that is not its own ({host})")
    if host in trusted_hosts or same_registrable_domain(host, registry.hostname or ""):
        return RealmTrust.WITH_CREDENTIALS
    return RealmTrust.ANONYMOUS
