"""`oci_form`: Docker's manifests and lists in OCI's form, which readers of OCI layouts insist on. PURE.

Configs and layers stay what they are, byte for byte, and so does the image ID; the manifest's own digest changes with
its media types.
"""

import json
from collections.abc import Callable
from typing import Any

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.document import Descriptor, Document

ReadDocument = Callable[[Digest], tuple[bytes, Document]]

_TYPES = {
    media_types.DOCKER_MANIFEST: media_types.OCI_MANIFEST,
    media_types.DOCKER_LIST: media_types.OCI_INDEX,
    media_types.DOCKER_CONFIG: media_types.OCI_CONFIG,
    "application/vnd.docker.image.rootfs.diff.tar": media_types.OCI_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": media_types.OCI_LAYER_GZIP,
}


def oci_form(root: Descriptor, read: ReadDocument) -> tuple[Descriptor, dict[Digest, bytes]]:
    """The root to name instead, and the documents that were written anew: none where all of it is OCI's already.

    Raises what `read` raises.
    """
    made: dict[Digest, bytes] = {}
    return _converted(root, read, made), made


def _converted(one: Descriptor, read: ReadDocument, made: dict[Digest, bytes]) -> Descriptor:
    body, document = read(one.digest)
    changed: dict[Digest, Descriptor] = {}
    for child in document.manifests:
        new = _converted(child, read, made)
        if new.digest != child.digest:
            changed[child.digest] = new
    if document.media_type not in _TYPES and not changed:
        return one
    raw: dict[str, Any] = json.loads(body)
    raw["mediaType"] = _TYPES.get(document.media_type, document.media_type)
    for part in [*(raw.get("manifests") or []), *(raw.get("layers") or []), raw.get("config") or {}]:
        if (new_child := changed.get(Digest.parse(part["digest"])) if part else None) is not None:
            part |= {"digest": str(new_child.digest), "size": new_child.size}
        if part:
            part["mediaType"] = _TYPES.get(part.get("mediaType", ""), part.get("mediaType", ""))
    new_body = json.dumps(raw, separators=(",", ":")).encode()
    digest = Digest.of(new_body)
    made[digest] = new_body
    return Descriptor(raw["mediaType"], digest, len(new_body))
