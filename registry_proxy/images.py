"""What the handlers need from the node, as Protocols: `Images`, and the `BlobReader` of one blob.

Implemented over the store and the shared downloads; a test's fake implements the same. Every failure is a ShoalError.
"""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from agent.content.digest import Digest
from agent.content.reference import Repository
from agent.content.stored import Resolved, StoredDocument


class BlobReader(Protocol):
    @property
    def size(self) -> int: ...

    @property
    def fd(self) -> int:
        """Open for as long as the reader; every byte that `wait_readable` promised may be read from it."""

    async def wait_readable(self, offset: int) -> int:
        """The end (exclusive) of the verified bytes that start at `offset`; more than `offset`.

        Returns at once where there are some. Raises ShoalError when they will not come.
        """


class Images(Protocol):
    async def is_ours(self, repository: Repository, *, now: bool) -> bool:
        """Has the cluster itself anything in this repository? `now`: not as of a moment ago."""

    async def resolve(self, repository: Repository, tag: str) -> Resolved: ...

    async def get_document(self, repository: Repository, digest: Digest) -> StoredDocument: ...

    def open_blob(self, repository: Repository, digest: Digest) -> AbstractAsyncContextManager[BlobReader]:
        """Entering raises NotFound and the like; afterwards the size is known."""
