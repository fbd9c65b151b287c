"""`put_image`: an image of tests/fakes into the store of a node that is not running, as a pull leaves it."""

from pathlib import Path

from agent.content.document import Descriptor, parse_document
from agent.content.reference import Reference
from agent.store.store import Store
from tests.fakes.images import Image


def put_image(data_dir: Path, image: Image, name: str) -> None:
    """`name`: in full, such as docker.io/library/fish:latest."""
    reference = Reference.parse(name)
    body = b"".join(image.manifest.pieces())
    descriptor = Descriptor(image.media_type, image.manifest.digest, len(body))
    data_dir.mkdir(parents=True, exist_ok=True)
    with Store(data_dir / "store") as store:
        store.put(image.manifest.digest, body)
        for blob in image.blobs:
            store.put(blob.digest, b"".join(blob.pieces()))
        store.put_document(reference.repository, descriptor, parse_document(body).children)
        assert reference.tag is not None
        store.put_tag(reference.repository, reference.tag, descriptor, 1.0)
