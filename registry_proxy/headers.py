"""The header fields that answers about content share, and the conditions of a request (`If-None-Match`, `If-Range`).

Content has its digest for a strong entity tag, so both conditions come down to naming it.
"""

from agent.content.digest import Digest
from agent.http.headers import Headers

API_VERSION = ("Docker-Distribution-Api-Version", "registry/2.0")


def content_headers(digest: Digest, media_type: str) -> list[tuple[str, str]]:
    text = str(digest)
    return [API_VERSION, ("Content-Type", media_type), ("Docker-Content-Digest", text), ("ETag", f'"{text}"')]


def is_known(headers: Headers, digest: Digest) -> bool:
    """Whether `If-None-Match` says that the client has it: 304. Weak comparison, RFC 9110 13.1.2."""
    return any(_names(value, digest) or value.strip() == "*" for value in headers.get_all("if-none-match"))


def range_applies(headers: Headers, digest: Digest) -> bool:
    """Whether `If-Range`, where it is there, names what we have; a date never does (RFC 9110 13.1.5)."""
    condition = headers.get("if-range")
    return condition is None or condition.strip() == f'"{digest}"'


def _names(value: str, digest: Digest) -> bool:
    return any(tag.strip().removeprefix("W/").strip('"') == str(digest) for tag in value.split(","))
