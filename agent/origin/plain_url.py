"""Whether a URL that a registry gave is one that every parser reads alike. PURE.

The rules are decided on what `urllib` reads, and other parsers read the URL on its way. One on which two parsers may
differ (backslashes, control characters, user information, odd hosts) is refused, so that there is no gap between them.
"""

import ipaddress
import re
from urllib.parse import urlsplit

_HOST_AND_PORT = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
)
# `0x7f.1`, `2130706433` and `010.0.0.1` are addresses to some resolvers and names to others.
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
_VISIBLE = re.compile(r"[!-~]+")
_MAX_CHARACTERS = 8 * 1024


def is_plain_url(url: str) -> bool:
    """http or https, a plain host and port, visible ASCII only, no user information."""
    if len(url) > _MAX_CHARACTERS or not _VISIBLE.fullmatch(url) or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or port == 0 or not _HOST_AND_PORT.fullmatch(parts.netloc):
        return False
    return _is_plain_host(parts.hostname or "")


def _is_plain_host(host: str) -> bool:
    if ":" not in host and not _ENDS_IN_NUMBER.fullmatch(host):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
