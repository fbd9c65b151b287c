"""`UploadSessions`: where uploads that broke off go on.

A registry names a session for each upload; whoever asks it there is told how much has come. Kept are those at the
registry's own origin alone: elsewhere the URL is a credential. `PassingSessions` live as long as the process; who
keeps them longer goes on after a restart.
"""

import re
from typing import Protocol

from agent.content.digest import Digest, Hasher
from agent.content.reference import Repository
from agent.origin.upload_body import PIECE_BYTES, Content

WORTH_RESUMING_BYTES = 1024 * 1024
_RECEIVED = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")


class UploadSessions(Protocol):
    """Methods raise DiskError."""

    async def find(self, repository: Repository, digest: Digest) -> str | None: ...

    async def keep(self, repository: Repository, digest: Digest, url: str) -> None: ...

    async def forget(self, repository: Repository, digest: Digest) -> None: ...


class PassingSessions:
    """UploadSessions in memory."""

    def __init__(self) -> None:
        self._urls: dict[tuple[Repository, Digest], str] = {}

    async def find(self, repository: Repository, digest: Digest) -> str | None:
        return self._urls.get((repository, digest))

    async def keep(self, repository: Repository, digest: Digest, url: str) -> None:
        self._urls[repository, digest] = url

    async def forget(self, repository: Repository, digest: Digest) -> None:
        self._urls.pop((repository, digest), None)


def received_bytes(range_header: str | None) -> int:
    """How much a session has, by its `Range: 0-N`. `0-0` is told of one byte and of none: it counts as none."""
    match = _RECEIVED.fullmatch((range_header or "").strip())
    last = int(match[1]) if match else 0
    return last + 1 if last else 0


async def hash_beginning(content: Content, byte_count: int) -> Hasher:
    """Of the bytes that need not be sent again. Raises DiskError."""
    hasher, position = content.digest.new_hasher(), 0
    while position < byte_count:
        piece = await content.read_at(position, min(PIECE_BYTES, byte_count - position))
        if not piece:
            break  # shorter than it was: the digest will not match
        hasher.update(piece)
        position += len(piece)
    return hasher
