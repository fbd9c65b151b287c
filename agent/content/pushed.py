"""`PushedName`: what one name of the cluster's own images stands for: a tag, or the digest of a manifest. PURE.

Two nodes may push one tag: the greater `stamp` wins, wherever the two meet, so that all come to the same. The time in
it is given by the tracker; a node that cannot reach it uses its own clock. What was deleted stays as a record that
says so (`deleted`), or a node that was away would bring it back.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.content.digest import Digest
from agent.content.document import Descriptor


@dataclass(frozen=True, slots=True)
class PushedName:
    """`repository` on the cluster's registry; `name`: a tag or a digest as text; at: seconds since the epoch.

    subject: of a manifest known by its digest, what it refers to. writer: the id of the node that pushed or deleted.
    """

    repository: str
    name: str
    digest: Digest
    size: int
    media_type: str
    subject: Digest | None
    at: float
    writer: bytes
    deleted: bool = False

    @property
    def stamp(self) -> tuple[float, bytes]:
        return self.at, self.writer

    @property
    def is_tag(self) -> bool:
        return ":" not in self.name

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(self.media_type, self.digest, self.size)

    def is_newer_than(self, other: "PushedName | None") -> bool:
        return other is None or self.stamp > other.stamp


def listing_key(name: str) -> tuple[str, str]:
    """The order of listings: OCI distribution-spec 1.1 wants tags case-insensitively alphabetical."""
    return name.lower(), name


def page_of(names: Iterable[str], last: str, limit: int) -> tuple[list[str], bool]:
    """The `limit` names that follow `last`, and whether more do."""
    after = sorted((name for name in names if listing_key(name) > listing_key(last)), key=listing_key)
    return after[:limit], len(after) > limit
