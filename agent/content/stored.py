"""What a node answers about images: `Resolved` for a tag, `StoredDocument` for a digest."""

from dataclasses import dataclass

from agent.content.document import Descriptor


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a tag points at. `stale`: the registry could not be asked, and policy allows the last answer."""

    descriptor: Descriptor
    stale: bool = False


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A manifest or index, byte for byte; `descriptor` has its media type."""

    body: bytes
    descriptor: Descriptor
