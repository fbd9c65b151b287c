"""`Source`: where the registry keeps a digest for whoever asked: which repository, as a blob or as a manifest."""

from dataclasses import dataclass
from typing import Literal

from agent.content.reference import Repository

Kind = Literal["blobs", "manifests"]


@dataclass(frozen=True, slots=True)
class Source:
    repository: Repository
    kind: Kind

    @property
    def has_registry(self) -> bool:
        """False for the cluster's own images: only other nodes have them."""
        return not self.repository.is_of_cluster
