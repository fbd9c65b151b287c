"""Where a registry's redirect may lead, and whether our credentials go along. PURE.

Blobs are often answered with a redirect to a CDN or S3. Authorization stays behind when the origin changes (S3
answers 400 otherwise, and it is not theirs to see), https never becomes http, at most ten hops, and no address
literal leads inward unless the registry itself is there. Names that resolve inward are refused when connecting, see
network.py. Texts name the host alone: the query of such a URL is a credential.
"""

from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from agent.content.errors import SourceError
from agent.origin.address_rule import AddressKind, kind_of, may_reach, parse_address
from agent.origin.plain_url import is_plain_url

MAX_REDIRECTS = 10
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Hop:
    """The next URL to ask; `same_origin` says whether it is still where the redirect came from."""

    url: str
    same_origin: bool


def next_hop(
    current_url: str, location: str, hops: int, registry_kind: AddressKind | None, allow_private: bool = False
) -> Hop:
    """What follows a redirect from `current_url` after `hops` earlier ones. Raises SourceError where nothing may."""
    if hops >= MAX_REDIRECTS:
        raise SourceError(f"redirects more than {MAX_REDIRECTS} times")
    try:
        url = urljoin(current_url, location).partition("#")[0]
    except ValueError:
        url = ""
    if not is_plain_url(url):
        raise SourceError("redirects to an unusable URL")
    current, target = urlsplit(current_url), urlsplit(url)
    if current.scheme == "https" and target.scheme != "https":
        raise SourceError(f"redirects from https to http ({target.hostname})")
    host = target.hostname or ""
    if not allow_private and host != current.hostname and parse_address(host) is not None:
        kind = kind_of(host)
        if not may_reach(kind, registry_kind):
            raise SourceError(f"redirects to a {kind.value} address ({host})")
    return Hop(url, _origin(current) == _origin(target))


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
