from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.content.errors import DiskError
from agent.content.pushed import PushedName
from agent.store.store import Store, StoreLimits
from tests.agent.store.conftest import Clock
from tests.agent.store.sample import ALPINE, KIB, blob, fill, image, index_of

QUOTA = 1000 * KIB


@pytest.fixture
def small(root: Path, clock: Clock) -> Iterator[Store]:
    with Store(root, StoreLimits(quota_bytes=QUOTA), clock) as opened:
        yield opened


def put_blob(store: Store, clock: Clock, seed: int, size: int = 300 * KIB) -> None:
    store.put(*blob(size, seed))
    clock.time += 10


def kept(store: Store, *seeds: int, size: int = 300 * KIB) -> list[bool]:
    return [store.size_of(blob(size, seed)[0]) is not None for seed in seeds]


def test_the_least_recently_used_goes_for_what_comes(small: Store, clock: Clock) -> None:
    for seed in (1, 2, 3):
        put_blob(small, clock, seed)
    (small.open_blob(blob(300 * KIB, 1)[0]) or pytest.fail("gone")).close()
    put_blob(small, clock, 4)
    assert kept(small, 1, 2, 3, 4) == [True, False, True, True]
    assert small.usage().blob_bytes <= QUOTA


def test_last_uses_survive_a_restart(root: Path, clock: Clock) -> None:
    with Store(root, now=clock) as store:
        for seed in (1, 2, 3):
            put_blob(store, clock, seed)
        assert store.read(blob(300 * KIB, 1)[0], QUOTA)
    with Store(root, StoreLimits(quota_bytes=600 * KIB), clock) as store:
        assert store.make_room(0) == 300 * KIB
        assert kept(store, 1, 2, 3) == [True, False, True]


def test_a_tag_holds_its_image_and_the_refusal_says_so(small: Store, clock: Clock) -> None:
    amd = image(1, layer_bytes=400 * KIB)
    index = index_of({"linux/amd64": amd, "linux/arm64": image(2)})
    index.put(small)
    amd.put(small)
    small.put_tag(ALPINE, "latest", index.descriptor, clock.time)
    with pytest.raises(
        DiskError, match=f"no room for {300 * KIB} bytes .*quota is {QUOTA}; only 0 may be evicted"
    ):
        put_blob(small, clock, 1)
    assert small.images()[0].complete
    small.remove_tag(ALPINE, "latest")
    put_blob(small, clock, 1)
    assert kept(small, 1) == [True]


def test_tags_that_were_not_checked_for_long_let_go_where_the_limits_say_so(root: Path, clock: Clock) -> None:
    with Store(root, StoreLimits(quota_bytes=QUOTA, tags_hold_seconds=100.0), clock) as store:
        for seed in (1, 2):
            image(seed, layer_bytes=200 * KIB).put(store)
            store.put_tag(ALPINE, f"v{seed}", image(seed, layer_bytes=200 * KIB).descriptor, clock.time)
            clock.time += 60
        put_blob(store, clock, 1)
        assert [one.complete for one in store.images()] == [False, True]


def test_a_pin_holds_until_it_is_taken_back(small: Store, clock: Clock) -> None:
    put_blob(small, clock, 1)
    digest = blob(300 * KIB, 1)[0]
    small.pin(digest, "build")
    small.pin(digest, "demo")
    small.unpin(digest, "demo")
    for seed in (2, 3, 4):
        put_blob(small, clock, seed)
    assert kept(small, 1, 2) == [True, False]
    small.unpin(digest, "build")
    put_blob(small, clock, 5)
    assert kept(small, 1) == [False]


def test_a_pin_of_some_seconds_ends_by_itself(small: Store, clock: Clock) -> None:
    put_blob(small, clock, 1)
    digest = blob(300 * KIB, 1)[0]
    small.pin(digest, "until lately", seconds=100.0)
    for seed in (2, 3):
        put_blob(small, clock, seed)
    assert kept(small, 1) == [True]
    clock.time += 100
    assert small.pins() == {}
    put_blob(small, clock, 4)
    assert kept(small, 1) == [False]


def test_a_weak_pin_counts_until_a_document_names_it(small: Store, clock: Clock) -> None:
    child, index = image(1, layer_bytes=200 * KIB), index_of({"linux/amd64": image(1, layer_bytes=200 * KIB)})
    child.put(small)
    small.pin(child.descriptor.digest, "pushed by digest", weak=True)
    clock.time += 10
    put_blob(small, clock, 1)
    put_blob(small, clock, 2)
    assert small.size_of(child.descriptor.digest) is not None
    index.put(small)
    small.put_tag(ALPINE, "1", index.descriptor, clock.time)
    clock.time += 10
    put_blob(small, clock, 3)
    assert small.size_of(child.descriptor.digest) is not None, "the tagged index holds it"
    small.remove_tag(ALPINE, "1")
    small.make_room(QUOTA)
    assert small.needed_by([child.descriptor.digest]) == []


@pytest.mark.parametrize("subject_is_held", [True, False])
def test_what_refers_to_a_subject_stays_as_long_as_that(
    small: Store, clock: Clock, subject_is_held: bool
) -> None:
    subject, signature = image(1, layer_bytes=100 * KIB), image(2, layer_bytes=100 * KIB)
    for one in (subject, signature):
        one.put(small)
    digest = signature.descriptor.digest
    what = (str(digest), digest, 5, "application/json", subject.descriptor.digest, clock.time, b"node")
    small.pushed.put([PushedName("team/app", *what)])
    small.pin(digest, "pushed by digest", weak=True)
    if subject_is_held:
        small.pin(subject.descriptor.digest, "pushed as team/app:1")
    clock.time += 10
    small.make_room(QUOTA)
    assert bool(small.needed_by([digest])) == subject_is_held


def test_a_running_pull_holds_what_it_needs(small: Store, clock: Clock) -> None:
    one = image(1, layer_bytes=300 * KIB)
    one.put(small)
    with small.holding([one.descriptor.digest]):
        with small.holding([one.descriptor.digest]):
            pass
        clock.time += 10
        put_blob(small, clock, 1)
        put_blob(small, clock, 2)
        assert small.images()[0].complete
    put_blob(small, clock, 3)
    assert not small.images()[0].complete


def test_another_process_keeps_what_a_pull_here_holds(root: Path, clock: Clock) -> None:
    with Store(root, now=clock) as here, Store(root, StoreLimits(quota_bytes=0), clock) as other:
        put_blob(here, clock, 1)
        with here.holding([blob(300 * KIB, 1)[0]]):
            assert other.make_room(0) == 0
        assert other.make_room(0) == 300 * KIB


def test_what_a_block_holds_later_is_kept_as_long_and_all_goes_at_its_end(root: Path, clock: Clock) -> None:
    with Store(root, now=clock) as here, Store(root, StoreLimits(quota_bytes=0), clock) as other:
        put_blob(here, clock, 1)
        put_blob(here, clock, 2)
        one, two = blob(300 * KIB, 1)[0], blob(300 * KIB, 2)[0]
        with here.holding([one]) as hold:
            hold([one, two])
            assert other.make_room(0) == 0
            with here.holding([two]):
                pass
            assert other.make_room(0) == 0
        assert other.make_room(0) == 600 * KIB


def test_nothing_is_evicted_for_what_cannot_fit_anyway(small: Store, clock: Clock) -> None:
    put_blob(small, clock, 1)
    with pytest.raises(DiskError, match="no room"):
        small.open_partial(blob(10)[0], QUOTA + 1)
    assert kept(small, 1) == [True]
    assert small.usage().partials == 0


def test_two_downloads_cannot_both_be_promised_the_last_room(small: Store) -> None:
    digest, data = blob(600 * KIB, 1)
    with small.open_partial(digest, len(data)) as partial:
        usage = small.usage()
        assert usage.promised_bytes + usage.partial_bytes == len(data)
        with pytest.raises(DiskError, match="more are on their way"):
            small.open_partial(blob(600 * KIB, 2)[0], 600 * KIB)
        fill(partial, data)
        partial.commit()
    assert small.usage().blob_bytes == len(data)


def test_an_abandoned_partial_is_evicted_in_its_turn(small: Store, clock: Clock) -> None:
    digest, data = blob(600 * KIB, 1)
    with small.open_partial(digest, len(data)) as partial:
        fill(partial, data)
    assert small.usage().partials == 1
    small.open_partial(blob(600 * KIB, 2)[0], 600 * KIB).close()
    assert small.usage().partials == 1
    with small.open_partial(digest, 100 * KIB) as begun_anew:
        assert not begun_anew.have


def test_resuming_a_partial_counts_it_once(small: Store) -> None:
    digest, data = blob(900 * KIB, 1)
    with small.open_partial(digest, len(data)) as partial:
        fill(partial, data, [0, 1, 2])
    with small.open_partial(digest, len(data)) as partial:
        assert len(partial.have) == 3
        fill(partial, data)
        partial.commit()


def test_a_floor_above_what_is_free_refuses_and_names_it(root: Path, clock: Clock) -> None:
    with Store(root, StoreLimits(floor_free_bytes=1 << 60), clock) as store:
        with pytest.raises(DiskError, match=f"are free of which {1 << 60} must stay so"):
            store.open_partial(blob(100)[0], 100)
        assert store.make_room(0) == 0


def test_usage_without_limits(store: Store) -> None:
    store.put(*blob(100))
    usage = store.usage()
    assert (usage.blob_bytes, usage.blobs, usage.partials, usage.quota_bytes) == (100, 1, 0, None)
    assert usage.free_bytes > 0
    assert store.make_room(1 << 60) == 0
