"""`PullProgress`: how far a pull is. Apart from pull.py, because commands that only show it need none of a node."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.content.digest import Digest
from agent.content.reference import Reference


@dataclass(slots=True)
class LayerProgress:
    """One blob of the image. state: waiting, downloading, here (it was already), done, failed. Bytes by source."""

    digest: Digest
    size: int
    state: str = "waiting"
    done_bytes: int = 0
    registry_bytes: int = 0
    peer_bytes: int = 0


@dataclass(slots=True)
class PullProgress:
    """stale: the registry could not be asked, the tag's last known digest was taken. was_here: all of it was here
    before, and the tag, where there is one, pointed at it already."""

    reference: Reference
    digest: Digest | None = None
    stale: bool = False
    was_here: bool = False
    layers: tuple[LayerProgress, ...] = ()


OnProgress = Callable[[PullProgress], None]
