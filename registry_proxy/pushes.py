"""`PushSide`: what the handlers of pushes, deletes and listings need from the node, and what they may do."""

from dataclasses import dataclass

from agent.node.cluster_names import ClusterNames
from agent.node.images import Images
from agent.node.manifest_pushes import ManifestPushes
from agent.node.uploading import Uploading


@dataclass(frozen=True, slots=True)
class DeleteRules:
    """Deleting is an action of its own, which clients may only where the configuration says so."""

    tags: bool = False
    manifests: bool = False
    blobs: bool = False


@dataclass(frozen=True, slots=True)
class PushSide:
    uploading: Uploading
    manifests: ManifestPushes
    names: ClusterNames
    images: Images
    deletes: DeleteRules
