"""Content of this machine on its way into the store, and what goes out of it again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import DiskError
from agent.content.reference import Repository
from agent.store.store import Store, StoreLimits
from tests.agent.store.conftest import Clock
from tests.agent.store.sample import ALPINE, image, index_of

_OTHER = Repository.of("quay.io", "team/app")


def staged_files(store: Store) -> list[str]:
    return os.listdir(store.root / "staging")


def test_what_is_kept_is_a_blob_and_the_rest_is_gone(store: Store) -> None:
    with store.staging() as staging:
        kept, dropped, left = staging.new(), staging.new(), staging.new()
        for blob, pieces in ((kept, [b"one ", b"two"]), (dropped, [b"x"]), (left, [b"y"])):
            for piece in pieces:
                blob.write(piece)
        assert (kept.size, kept.digest) == (7, Digest.of(b"one two"))
        assert b"".join(kept.pieces()) == b"one two"
        staging.drop(dropped)
        assert kept.keep() == kept.keep() == Digest.of(b"one two")
    assert store.complete_digests() == [(Digest.of(b"one two"), 7)]
    assert store.read(Digest.of(b"one two"), 100) == b"one two"
    assert store.chunk_digests(Digest.of(b"one two"))
    assert staged_files(store) == []


def test_more_files_than_a_process_may_have_open_are_staged(store: Store) -> None:
    with store.staging() as staging:
        for number in range(3000):
            blob = staging.new()
            blob.write(str(number).encode())
            blob.seal()
        assert len(os.listdir("/proc/self/fd")) < 500
    assert staged_files(store) == []


def test_what_is_staged_counts_together_against_the_quota(tmp_path: Path) -> None:
    with Store(tmp_path / "store", StoreLimits(quota_bytes=10_000)) as store, store.staging() as staging:
        staging.new().write(b"x" * 6_000)
        with pytest.raises(DiskError, match="quota"):
            staging.new().write(b"x" * 6_000)


def test_what_a_killed_process_had_staged_is_gone_when_the_store_is_opened_next(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from agent.store.store import Store\n"
        "blob = Store(Path(sys.argv[1])).staging().new(); blob.write(b'half'); os._exit(9)"
    )
    root = tmp_path / "store"
    here = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code, str(root)], cwd=here, check=False)
    assert done.returncode == 9
    assert len(os.listdir(root / "staging")) == 1
    with Store(root) as store:
        assert staged_files(store) == []


# --- going out again ------------------------------------------------------------------------------------------------


def test_an_image_takes_along_what_nothing_else_needs(store: Store) -> None:
    one, other = image(1), image(2)
    for each in (one, other):
        each.put(store)
    gone = store.remove_image(ALPINE, one.descriptor.digest)
    assert gone.keys() == {one.descriptor.digest, *one.parts}
    assert sum(gone.values()) == one.size
    assert store.media_type_of(ALPINE, one.descriptor.digest) is None
    assert not any(store.is_linked(ALPINE, digest) for digest in one.parts)
    assert {digest for digest, _ in store.complete_digests()} == {other.descriptor.digest, *other.parts}


@pytest.mark.parametrize("keeper", ["repository", "tag", "pin", "hold", "index"])
def test_what_something_else_needs_stays(store: Store, keeper: str) -> None:
    one = image(1)
    one.put(store)
    root = one.descriptor.digest
    if keeper == "repository":
        one.put(store, _OTHER)
    elif keeper == "tag":
        store.put_tag(_OTHER, "1", one.descriptor, 1.0)
    elif keeper == "pin":
        store.pin(root, "test")
    elif keeper == "index":
        index_of({"linux/amd64": one}).put(store)
    if keeper == "hold":
        with store.holding([root]):
            assert store.remove_image(ALPINE, root) == {}
    else:
        assert store.remove_image(ALPINE, root) == {}
    assert len(store.complete_digests()) >= 1 + len(one.parts)


def test_what_another_tag_of_the_repository_needs_stays_known_there(store: Store) -> None:
    one = image(1)
    one.put(store)
    store.put_tag(ALPINE, "kept", one.descriptor, 1.0)
    assert store.remove_image(ALPINE, one.descriptor.digest) == {}
    assert store.is_linked(ALPINE, one.descriptor.digest)


def test_what_nobody_knows_goes_when_it_has_been_idle_for_long_enough(store: Store, clock: Clock) -> None:
    one = image(1)
    one.put(store)
    left, held, linked, pinned = (Digest.of(name) for name in (b"left", b"held", b"linked", b"pinned"))
    for digest, data in ((left, b"left"), (held, b"held"), (linked, b"linked"), (pinned, b"pinned")):
        store.put(digest, data)
    store.link(_OTHER, Descriptor("application/octet-stream", linked, 6))
    store.pin(pinned, "test")
    assert store.remove_loose(3600) == {}
    clock.time += 3601
    with store.holding([held]):
        assert store.remove_loose(3600) == {left: 4}
    assert store.remove_loose(3600) == {held: 4}
    assert len(store.complete_digests()) == 2 + 1 + len(one.parts)


# --- damage ---------------------------------------------------------------------------------------------------------


def blob_path(store: Store, digest: Digest) -> Path:
    return store.root / "blobs" / digest.algorithm / digest.hex


def test_damage_is_listed_until_the_blob_is_here_again(store: Store, root: Path) -> None:
    one = image(1)
    one.put(store)
    altered, cut, lost = list(one.parts)
    blob_path(store, altered).write_bytes(b"x" * len(one.parts[altered]))
    assert not store.verify(altered)
    blob_path(store, cut).write_bytes(b"")
    blob_path(store, lost).unlink()
    with Store(root) as again:
        assert set(again.damaged()) == {altered, cut, lost}
        again.put(altered, one.parts[altered])
        assert set(again.damaged()) == {cut, lost}
        again.forget_damage([cut])
        assert again.damaged() == [lost]


def test_a_list_of_damage_that_is_itself_damaged_is_read_as_far_as_it_goes(store: Store) -> None:
    digest = Digest.of(b"x")
    (store.root / "damaged").write_bytes(
        b"\xff\xfe nonsense\n" + f"{digest}\n{digest}\nsha256:short\n".encode()
    )
    assert store.damaged() == [digest]


def test_what_is_removed_on_purpose_is_no_damage(store: Store, root: Path) -> None:
    one = image(1)
    one.put(store)
    store.remove_image(ALPINE, one.descriptor.digest)
    with Store(root) as again:
        assert again.damaged() == []
