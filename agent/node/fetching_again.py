"""`fetch_again`: a blob that this node had and lost, from the swarm or the registry of whatever repository knows it."""

import trio

from agent.content.digest import Digest
from agent.content.errors import NotFound, ShoalError, SourceError
from agent.node.node import Node
from agent.node.source import Source

_PATIENCE_SECONDS = 600.0
_LONE_PATIENCE_SECONDS = 30.0  # of the cluster's own there may be no other copy


async def fetch_again(node: Node, digest: Digest) -> None:
    """Raises ShoalError where nobody has it."""
    failure: ShoalError = NotFound(f"no image that is known here needs {digest} any more")
    for repository in node.store.repositories_of(digest):
        is_document = node.store.media_type_of(repository, digest) is not None
        source = Source(repository, "manifests" if is_document else "blobs")
        size = node.store.linked_size(digest)
        patience = _LONE_PATIENCE_SECONDS if repository.is_of_cluster else _PATIENCE_SECONDS
        failure = SourceError(f"nobody gave {digest} of {repository} within {patience:.0f} s")
        with trio.move_on_after(patience):
            async with node.blobs.open_download(digest, source, size) as download:
                await download.wait_ended()
                if download.failure is not None:
                    failure = download.failure
        if node.store.size_of(digest) is not None:
            return
    raise failure
