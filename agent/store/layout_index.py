"""The layout's index.json: the tagged images of this store, for skopeo, podman, crane and umoci. PURE.

What is listed
- A tag whose image is here completely: one entry, the descriptor the tag points to.
- A tag on an index of which only some platforms are here (the usual case: a node pulls its own): an entry for each
  manifest that is here completely, with its platform, in place of the index. Naming the index would promise
  content that is absent; naming nothing would hide an image that can run.
- Nothing else: no tag on its way, no untagged content.

`org.opencontainers.image.ref.name` is the full reference (`skopeo inspect oci:DIR:docker.io/library/alpine:3.20`), and
`io.containerd.image.name` says the same to containerd and Docker. Media types are the documents' own: tools that accept
only OCI's in a layout (skopeo 1.9) pass over images in Docker's format; rewriting them would change their digest.
"""

import json
from collections.abc import Iterable

from agent.content import media_types
from agent.store.content_graph import Child, ContentGraph


def render_layout_index(tags: Iterable[tuple[str, Child]], graph: ContentGraph) -> bytes:
    """`tags`: full reference and what it points to. The same state always gives the same bytes."""
    entries = [
        _entry(reference, part)
        for reference, root in sorted(tags, key=lambda tag: tag[0])
        for part in graph.complete_parts(root)
    ]
    index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}
    return json.dumps(index, indent=1).encode()


def _entry(reference: str, part: Child) -> dict[str, object]:
    entry: dict[str, object] = {"mediaType": part.media_type, "digest": str(part.digest), "size": part.size}
    if part.platform and "/" in part.platform:
        system, architecture, *variant = part.platform.split("/")
        entry["platform"] = {"architecture": architecture, "os": system} | (
            {"variant": variant[0]} if variant else {}
        )
    entry["annotations"] = {
        "org.opencontainers.image.ref.name": reference,
        "io.containerd.image.name": reference,
    }
    return entry
