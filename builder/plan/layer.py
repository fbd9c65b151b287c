"""`Layer`: one layer of an image that is built or built upon, and the chain that layers make. PURE."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from agent.content.digest import Digest
from agent.content.document import Descriptor


@dataclass(frozen=True, slots=True)
class Layer:
    """`blob`: what the manifest lists. plain_bytes: of the tar, None where nobody counted (a base image's).

    recipe: how its bytes come from the tar again ({library, version, level, mode}); None for one made elsewhere.
    created: when it was made, RFC 3339; a result from the cache keeps it, so that the same build is the same image.
    """

    blob: Descriptor
    diff_id: Digest
    plain_bytes: int | None = None
    recipe: str | None = None
    created: str | None = None


Chain = tuple[Layer, ...]
"""The lowest first; () is scratch."""


def chain_id(layers: Sequence[Layer]) -> Digest | None:
    """OCI image-spec 1.1, config.md, "Layer ChainID"; None for scratch."""
    last: Digest | None = None
    for layer in layers:
        if last is None:
            last = layer.diff_id
        else:
            last = Digest("sha256", hashlib.sha256(f"{last} {layer.diff_id}".encode()).hexdigest())
    return last
