"""What a client can ask of the registry endpoint, as frozen values; paths.py makes them. PURE.

Reads that name no registry may mean the cluster's own image (`own`) or the default upstream's (`repository`): which of
them, decides whether the cluster has such a repository. What pushes and deletes is always about the cluster's own.
"""

from dataclasses import dataclass

from agent.content.digest import Digest
from agent.content.reference import Repository


@dataclass(frozen=True, slots=True)
class Page:
    """The `limit` entries after `last`."""

    last: str
    limit: int


@dataclass(frozen=True, slots=True)
class Ping:
    """GET /v2/: is this a registry?"""


@dataclass(frozen=True, slots=True)
class CatalogRequest:
    page: Page


@dataclass(frozen=True, slots=True)
class ManifestRequest:
    repository: Repository
    target: str | Digest
    """A tag or a digest."""
    own: Repository | None = None


@dataclass(frozen=True, slots=True)
class BlobRequest:
    repository: Repository
    digest: Digest
    own: Repository | None = None


@dataclass(frozen=True, slots=True)
class TagsRequest:
    repository: Repository
    page: Page
    own: Repository | None = None


@dataclass(frozen=True, slots=True)
class ReferrersRequest:
    repository: Repository
    digest: Digest
    page: Page
    artifact_type: str | None = None
    own: Repository | None = None


@dataclass(frozen=True, slots=True)
class UploadBegin:
    """digest: the body is the whole blob. mount: rather know this blob of `origin` (None: of wherever) here, too."""

    repository: Repository
    digest: Digest | None = None
    mount: Digest | None = None
    origin: Repository | None = None


@dataclass(frozen=True, slots=True)
class UploadStatus:
    repository: Repository
    upload: str


@dataclass(frozen=True, slots=True)
class UploadAppend:
    repository: Repository
    upload: str


@dataclass(frozen=True, slots=True)
class UploadFinish:
    repository: Repository
    upload: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class UploadCancel:
    repository: Repository
    upload: str


@dataclass(frozen=True, slots=True)
class ManifestPush:
    """digest: None where it is pushed by tag alone."""

    repository: Repository
    digest: Digest | None
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ManifestDelete:
    repository: Repository
    target: str | Digest


@dataclass(frozen=True, slots=True)
class BlobDelete:
    repository: Repository
    digest: Digest


Read = ManifestRequest | BlobRequest | TagsRequest | ReferrersRequest
UploadRequest = UploadBegin | UploadStatus | UploadAppend | UploadFinish | UploadCancel
Change = ManifestPush | ManifestDelete | BlobDelete
RegistryRequest = Ping | CatalogRequest | Read | UploadRequest | Change
