from pathlib import Path

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.reference import Repository
from agent.store.store import Store
from tests.agent.store.conftest import Clock
from tests.agent.store.sample import ALPINE, LAYER, image, index_of

OTHER = Repository.of("ghcr.io", "someone/else")


def test_a_tag_is_found_as_it_was_put(store: Store, clock: Clock) -> None:
    one, two = image(1).descriptor, image(2).descriptor
    assert store.find_tag(ALPINE, "3.20") is None
    store.put_tag(ALPINE, "3.20", one, 10.0)
    found = store.find_tag(ALPINE, "3.20")
    assert found is not None
    assert (found.repository, found.tag, found.descriptor, found.checked_at) == (ALPINE, "3.20", one, 10.0)
    assert store.find_tag(OTHER, "3.20") is None
    assert store.find_tag(ALPINE, "3.2") is None
    store.put_tag(ALPINE, "3.20", two, 20.0)
    found = store.find_tag(ALPINE, "3.20")
    assert found is not None
    assert (found.descriptor, found.checked_at) == (two, 20.0)


def test_a_tag_that_is_only_confirmed_keeps_the_time_of_its_pull(store: Store, clock: Clock) -> None:
    store.put_tag(ALPINE, "latest", image(1).descriptor, 1.0)
    pulled_at, clock.time = clock.time, clock.time + 100
    store.put_tag(ALPINE, "latest", image(1).descriptor, 2.0)
    found = store.find_tag(ALPINE, "latest")
    assert found is not None
    assert (found.checked_at, found.pulled_at) == (2.0, pulled_at)
    store.put_tag(ALPINE, "latest", image(2).descriptor, 3.0)
    found = store.find_tag(ALPINE, "latest")
    assert found is not None
    assert found.pulled_at == clock.time


def test_a_removed_tag_is_gone(store: Store) -> None:
    store.put_tag(ALPINE, "latest", image(1).descriptor, 1.0)
    assert store.remove_tag(ALPINE, "latest")
    assert not store.remove_tag(ALPINE, "latest")
    assert store.find_tag(ALPINE, "latest") is None


def test_what_a_document_names_is_linked_to_its_repository_only(store: Store) -> None:
    one = image(1)
    store.put_document(ALPINE, one.descriptor, one.children)
    for digest in [one.descriptor.digest, *one.parts]:
        assert store.is_linked(ALPINE, digest)
        assert not store.is_linked(OTHER, digest)
        assert store.repositories_of(digest) == [ALPINE]
    assert store.media_type_of(ALPINE, one.descriptor.digest) == media_types.OCI_MANIFEST
    assert store.media_type_of(OTHER, one.descriptor.digest) is None
    layer, data = list(one.parts.items())[1]
    assert store.media_type_of(ALPINE, layer) is None
    assert store.linked_size(layer) == len(data)
    assert store.linked_size(Digest.of(b"unknown")) is None


def test_a_shared_layer_is_known_from_every_repository_latest_first(store: Store, clock: Clock) -> None:
    one = image(1)
    store.put_document(ALPINE, one.descriptor, one.children)
    clock.time += 1
    store.put_document(OTHER, one.descriptor, one.children)
    assert store.repositories_of(one.children[0].digest) == [OTHER, ALPINE]


def test_the_size_that_most_documents_tell_is_believed(store: Store) -> None:
    layer = Digest.of(b"layer")
    for n, size in enumerate([5, 5, 6]):
        document = Descriptor(media_types.OCI_MANIFEST, Digest.of(b"%d" % n), 10)
        repository = Repository.of("localhost", f"r{n}")
        store.put_document(repository, document, [Descriptor(LAYER, layer, size)])
    assert store.linked_size(layer) == 5


def test_a_documents_own_type_outweighs_what_an_index_says_of_it(store: Store) -> None:
    one = image(1)
    lie = Descriptor(media_types.DOCKER_LIST, one.descriptor.digest, 1)
    index = Descriptor(media_types.OCI_INDEX, Digest.of(b"index"), 10)
    for _ in range(2):
        store.put_document(ALPINE, index, [lie])
        store.put_document(ALPINE, one.descriptor, one.children)
    store.put_document(ALPINE, index, [lie])
    assert store.media_type_of(ALPINE, one.descriptor.digest) == media_types.OCI_MANIFEST


def test_a_layer_named_twice_by_one_manifest_is_fine(store: Store) -> None:
    one = image(1)
    store.put_document(ALPINE, one.descriptor, [*one.children, *one.children])
    assert store.is_linked(ALPINE, one.children[1].digest)


def test_images_lists_tags_and_what_was_pulled_by_digest(store: Store, clock: Clock) -> None:
    tagged, by_digest, coming = image(1), image(2), image(3)
    tagged.put(store)
    store.put_tag(ALPINE, "3.20", tagged.descriptor, clock.time)
    by_digest.put(store, OTHER)
    store.put(coming.descriptor.digest, coming.body)
    store.put_document(ALPINE, coming.descriptor, coming.children)
    store.put_tag(ALPINE, "edge", coming.descriptor, clock.time)
    listed = [(str(one.repository), one.tag, one.digest, one.size, one.complete) for one in store.images()]
    assert listed == [
        ("docker.io/library/alpine", "3.20", tagged.descriptor.digest, tagged.size, True),
        ("docker.io/library/alpine", "edge", coming.descriptor.digest, len(coming.body), False),
        ("ghcr.io/someone/else", None, by_digest.descriptor.digest, by_digest.size, True),
    ]


def test_the_manifests_of_an_index_are_no_images_of_their_own(store: Store, clock: Clock) -> None:
    amd, arm = image(1), image(2)
    index = index_of({"linux/amd64": amd, "linux/arm64": arm})
    index.put(store)
    amd.put(store)
    (one,) = store.images()
    assert (one.tag, one.digest, one.size, one.complete) == (
        None,
        index.descriptor.digest,
        len(index.body) + amd.size,
        True,
    )


def test_what_is_known_survives_a_restart(root: Path) -> None:
    one = image(1)
    with Store(root) as store:
        one.put(store)
        store.put_tag(ALPINE, "3.20", one.descriptor, 1.0)
    with Store(root) as store:
        assert store.find_tag(ALPINE, "3.20")
        assert store.is_linked(ALPINE, one.children[0].digest)
        assert len(store.images()) == 1
