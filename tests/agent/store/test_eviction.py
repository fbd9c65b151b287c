from hypothesis import given
from hypothesis import strategies as st

from agent.content.digest import Digest
from agent.store.eviction import Candidate, choose_victims, evictable_bytes, shortfall_bytes
from agent.store.usage import StoreLimits, Usage

PLENTY = 1 << 40


def usage(blob_bytes: int = 0, partial: int = 0, promised: int = 0, free: int = PLENTY) -> Usage:
    return Usage(blob_bytes, partial, promised, 0, 0, free, None)


def candidate(name: int, size: int, used_at: float) -> Candidate:
    return Candidate(Digest.of(b"%d" % name), size, used_at)


candidates = st.lists(
    st.builds(candidate, st.integers(0, 10_000), st.integers(1, 1000), st.integers(0, 20).map(float)),
    max_size=20,
)


def test_without_limits_nothing_is_ever_short() -> None:
    assert shortfall_bytes(usage(PLENTY, free=0), PLENTY, StoreLimits()) == 0


def test_the_quota_counts_blobs_partials_and_what_is_promised() -> None:
    limits = StoreLimits(quota_bytes=100)
    assert shortfall_bytes(usage(40, 20, 30), 10, limits) == 0
    assert shortfall_bytes(usage(40, 20, 30), 11, limits) == 1
    assert shortfall_bytes(usage(150), 0, limits) == 50


def test_the_floor_counts_what_is_promised() -> None:
    limits = StoreLimits(floor_free_bytes=100)
    assert shortfall_bytes(usage(free=150, promised=20), 30, limits) == 0
    assert shortfall_bytes(usage(free=150, promised=20), 31, limits) == 1


def test_others_filling_the_disk_stop_our_growth_and_evict_nothing() -> None:
    limits = StoreLimits(floor_free_bytes=1000)
    assert shortfall_bytes(usage(5000, free=10), 0, limits) == 0
    assert shortfall_bytes(usage(5000, free=10), 50, limits) == 50


@given(candidates, st.integers(0, 25_000))
def test_victims_are_the_least_recently_used_and_no_more_than_needed(
    all_of: list[Candidate], needed: int
) -> None:
    victims = choose_victims(all_of, needed)
    freed = evictable_bytes(victims)
    assert freed >= min(needed, evictable_bytes(all_of))
    assert not victims or freed - victims[-1].size < needed
    for kept in set(all_of) - set(victims):
        assert all(victim.used_at <= kept.used_at for victim in victims)


def test_of_equals_the_larger_goes() -> None:
    small, large = candidate(1, 10, 5.0), candidate(2, 20, 5.0)
    assert choose_victims([small, large], 1) == [large]
