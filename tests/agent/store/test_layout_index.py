"""index.json never names what is not here, and names every tagged image that can run from here."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agent.content import media_types
from agent.content.digest import Digest
from agent.store.store import Store
from tests.agent.store.sample import ALPINE, image, index_of


def listed(root: Path, store: Store | None = None) -> list[tuple[str, str]]:
    if store is not None and store.is_layout_behind:
        store.publish_layout()
    document = json.loads((root / "index.json").read_text())
    assert (document["schemaVersion"], document["mediaType"]) == (2, media_types.OCI_INDEX)
    for entry in document["manifests"]:
        algorithm, _, digest = entry["digest"].partition(":")
        assert (root / "blobs" / algorithm / digest).stat().st_size == entry["size"]
    return [
        (entry["annotations"]["org.opencontainers.image.ref.name"], entry["digest"])
        for entry in document["manifests"]
    ]


REFERENCE = "docker.io/library/alpine:3.20"


def test_an_empty_store_is_a_layout_already(store: Store, root: Path) -> None:
    assert listed(root, store) == []


@pytest.mark.parametrize("last", ["tag", "document", "part", "body"])
def test_an_image_is_named_once_all_of_it_is_here(store: Store, root: Path, last: str) -> None:
    one = image(1)

    def put_parts() -> None:
        for digest, data in one.parts.items():
            store.put(digest, data)

    steps: dict[str, Callable[[], None]] = {
        "tag": lambda: store.put_tag(ALPINE, "3.20", one.descriptor, 1.0),
        "document": lambda: store.put_document(ALPINE, one.descriptor, one.children),
        "part": put_parts,
        "body": lambda: store.put(one.descriptor.digest, one.body),
    }
    final = steps.pop(last)
    for step in steps.values():
        step()
        assert listed(root, store) == []
    final()
    assert listed(root, store) == [(REFERENCE, str(one.descriptor.digest))]


def test_a_tag_that_moves_to_an_image_on_its_way_is_not_named(store: Store, root: Path) -> None:
    old, new = image(1), image(2)
    old.put(store)
    store.put_tag(ALPINE, "3.20", old.descriptor, 1.0)
    store.put_tag(ALPINE, "3.20", new.descriptor, 2.0)
    assert listed(root, store) == []
    new.put(store)
    assert listed(root, store) == [(REFERENCE, str(new.descriptor.digest))]
    store.remove_tag(ALPINE, "3.20")
    assert listed(root, store) == []


def test_an_image_that_lost_a_layer_is_no_longer_named(store: Store, root: Path) -> None:
    one = image(1)
    one.put(store)
    store.put_tag(ALPINE, "3.20", one.descriptor, 1.0)
    store.remove(list(one.parts)[-1])
    assert listed(root, store) == []


def test_a_layer_that_vanished_is_noticed_at_the_next_start(root: Path) -> None:
    one = image(1)
    with Store(root) as store:
        one.put(store)
        store.put_tag(ALPINE, "3.20", one.descriptor, 1.0)
    (root / "blobs/sha256" / list(one.parts)[-1].hex).unlink()
    with Store(root):
        assert listed(root) == []


def test_of_an_index_the_platforms_that_are_here_are_named(store: Store, root: Path) -> None:
    amd, arm = image(1), image(2)
    index = index_of({"linux/amd64": amd, "linux/arm64": arm})
    index.put(store)
    store.put_tag(ALPINE, "3.20", index.descriptor, 1.0)
    assert listed(root, store) == []
    arm.put(store)
    assert listed(root, store) == [(REFERENCE, str(arm.descriptor.digest))]
    (entry,) = json.loads((root / "index.json").read_text())["manifests"]
    assert entry["platform"] == {"os": "linux", "architecture": "arm64"}
    assert entry["annotations"]["io.containerd.image.name"] == REFERENCE
    amd.put(store)
    assert listed(root, store) == [(REFERENCE, str(index.descriptor.digest))]


def test_a_manifest_that_nobody_has_read_is_not_taken_for_complete(store: Store, root: Path) -> None:
    amd = image(1)
    index = index_of({"linux/amd64": amd})
    index.put(store)
    store.put_tag(ALPINE, "3.20", index.descriptor, 1.0)
    store.put(amd.descriptor.digest, amd.body)
    assert listed(root, store) == []


def test_confirming_a_tag_does_not_rewrite_the_file(store: Store, root: Path) -> None:
    one = image(1)
    one.put(store)
    store.put_tag(ALPINE, "3.20", one.descriptor, 1.0)
    before = (root / "index.json").stat().st_ino
    store.put_tag(ALPINE, "3.20", one.descriptor, 2.0)
    store.put(Digest.of(b"other"), b"other")
    assert (root / "index.json").stat().st_ino == before


def test_whoever_reads_the_file_while_it_changes_reads_a_whole_one(store: Store, root: Path) -> None:
    one = image(1)
    one.put(store)
    with (root / "index.json").open() as reader:
        store.put_tag(ALPINE, "3.20", one.descriptor, 1.0)
        assert json.load(reader)["manifests"] == []
    assert len(listed(root, store)) == 1


def test_what_is_named_in_quick_succession_is_written_together_and_nothing_is_left_out(root: Path) -> None:
    one = image(1)
    with Store(root) as store:
        one.put(store)
        inodes = set()
        for number in range(300):
            store.put_tag(ALPINE, f"v{number}", one.descriptor, 1.0)
            inodes.add((root / "index.json").stat().st_ino)
        assert store.is_layout_behind
        assert len(inodes) < 100
    assert len(listed(root)) == 300


def test_an_index_json_that_somebody_else_has_written_or_removed_is_mended_when_the_store_opens(
    root: Path,
) -> None:
    with Store(root) as store:
        one = image(1)
        one.put(store)
        store.put_tag(ALPINE, "3.20", one.descriptor, 1.0)
    path = root / "index.json"
    path.write_text("{}")
    with Store(root):
        assert [name for name, _ in listed(root)] == [REFERENCE]
    path.unlink()
    with Store(root):
        assert [name for name, _ in listed(root)] == [REFERENCE]


def test_opening_a_store_makes_index_json_anew_only_where_something_has_changed(root: Path) -> None:
    one = image(1)
    with Store(root) as store:
        one.put(store)
        store.put_tag(ALPINE, "3.20", one.descriptor, 1.0)
        store.publish_layout()
        assert is_current(root)
        store.put_tag(ALPINE, "3.20", one.descriptor, 2.0)
        with store.holding([one.descriptor.digest]):
            store.pin(one.descriptor.digest, "some reason")
        assert is_current(root), "nothing of this is in index.json"
        store.put(Digest.of(b"other"), b"other")
        assert not is_current(root)
    with Store(root):
        assert is_current(root)


def is_current(root: Path) -> bool:
    with closing(sqlite3.connect(root / "index.db")) as database:
        ((current,),) = database.execute("SELECT changes = published FROM layout")
    return bool(current)
