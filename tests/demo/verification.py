"""`verify_store`: whether an image is whole and right in a store on disk, by nothing of Shoal but its files.

Every blob file is hashed against its name, and everything that the image's documents name must be among them.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_READ_BYTES = 1 << 20


@dataclass(slots=True)
class Verdict:
    """`image`: size by digest of every blob of the image, documents included."""

    image: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def image_bytes(self) -> int:
        return sum(self.image.values())


def verify_store(store: Path, digest: str) -> Verdict:
    """`digest`: the image's manifest or index. Blocks for as long as it takes to read all of the store's blobs."""
    verdict = Verdict()
    here = dict(_right_blobs(store, verdict))
    _verify_document(store, digest, here, verdict)
    return verdict


def _right_blobs(store: Path, verdict: Verdict) -> Iterator[tuple[str, int]]:
    for path in sorted(store.glob("blobs/*/*")):
        named, actual = f"{path.parent.name}:{path.name}", _digest_of(path, path.parent.name)
        if actual == named:
            yield named, path.stat().st_size
        else:
            verdict.problems.append(f"{path} holds {actual}")


def _digest_of(path: Path, algorithm: str) -> str:
    hasher = hashlib.new(algorithm)
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            hasher.update(piece)
    return f"{algorithm}:{hasher.hexdigest()}"


def _verify_document(store: Path, digest: str, here: dict[str, int], verdict: Verdict) -> None:
    if digest not in here:
        verdict.problems.append(f"the document {digest} is not there")
        return
    verdict.image[digest] = here[digest]
    document: dict[str, Any] = json.loads(store.joinpath("blobs", *digest.split(":")).read_bytes())
    if "manifests" in document:  # an index; a pull takes one platform's image
        children = [entry["digest"] for entry in document["manifests"] if entry["digest"] in here]
        if not children:
            verdict.problems.append(f"no image of the index {digest} is there")
        for child in children:
            _verify_document(store, child, here, verdict)
        return
    for entry in (document["config"], *document["layers"]):
        if here.get(entry["digest"]) == entry["size"]:
            verdict.image[entry["digest"]] = entry["size"]
        else:
            verdict.problems.append(f"{entry['digest']} ({entry['size']} bytes) is not there")
