"""PullProgress in the middle of a pull, for tests of what is shown."""

from agent.content.digest import Digest
from agent.content.reference import Reference
from agent.node.pull_progress import LayerProgress, PullProgress


def layer(
    number: int, state: str, size: int = 1000, done: int = 0, *, registry: int = 0, peers: int = 0
) -> LayerProgress:
    return LayerProgress(Digest.of(bytes([number])), size, state, done, registry, peers)


def progress(*layers: LayerProgress, was_here: bool = False, stale: bool = False) -> PullProgress:
    return PullProgress(Reference.parse("alpine"), Digest.of(b"manifest"), stale, was_here, layers)
