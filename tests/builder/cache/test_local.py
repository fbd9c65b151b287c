"""Results of steps that this node knows."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import ContentError, DiskError
from agent.content.media_types import OCI_LAYER_GZIP
from agent.store.store import Store
from builder.cache.local import LocalCache
from builder.cache.record import CachedResult, parse_result
from builder.plan.layer import Layer

KEY = "ab" * 32
BODY = b"a layer"
LAYER = Layer(
    Descriptor(OCI_LAYER_GZIP, Digest.of(BODY), len(BODY)),
    Digest.of(b"its tar"),
    512,
    "recipe",
    "2026-01-01T00:00:00Z",
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def opened(tmp_path: Path, store: Store, at: float = 100.0) -> LocalCache:
    return LocalCache(tmp_path / "build" / "cache.db", store, now=lambda: at)


def test_a_result_is_found_again_by_the_next_build(tmp_path: Path, store: Store) -> None:
    store.put(LAYER.blob.digest, BODY)
    with opened(tmp_path, store) as cache:
        cache.put([CachedResult(KEY, LAYER)], shareable=True)
        cache.put([CachedResult("cd" * 32, None)], shareable=False)
    with opened(tmp_path, store) as cache:
        assert cache.find(KEY) == CachedResult(KEY, LAYER)
        assert cache.find("cd" * 32) == CachedResult("cd" * 32, None)
        assert cache.find("ef" * 32) is None


def test_a_result_whose_layer_is_gone_is_no_result(tmp_path: Path, store: Store) -> None:
    store.put(LAYER.blob.digest, BODY)
    with opened(tmp_path, store) as cache:
        cache.put([CachedResult(KEY, LAYER)], shareable=True)
        store.remove(LAYER.blob.digest)
        assert cache.find(KEY) is None
        store.put(LAYER.blob.digest, BODY)
        assert cache.find(KEY) is None


def test_several_are_found_in_one_go_those_without_their_layer_are_not(tmp_path: Path, store: Store) -> None:
    store.put(LAYER.blob.digest, BODY)
    gone = replace(LAYER, blob=replace(LAYER.blob, digest=Digest.of(b"gone")))
    whole = [CachedResult(KEY, LAYER), CachedResult("cd" * 32, None)]
    with opened(tmp_path, store) as cache:
        cache.put([*whole, CachedResult("ef" * 32, gone)], shareable=True)
        found = cache.find_all([KEY, "cd" * 32, "ef" * 32, "01" * 32])
        assert found == {one.key: one for one in whole}
        assert cache.find_all([]) == {}


def test_a_use_counts_for_a_result_to_stay(tmp_path: Path, store: Store) -> None:
    store.put(LAYER.blob.digest, BODY)
    with opened(tmp_path, store, at=100.0) as cache:
        cache.put([CachedResult(KEY, LAYER)], shareable=True)
    with opened(tmp_path, store, at=200.0) as cache:
        assert cache.find(KEY) is not None
        assert cache.forget(idle_seconds=50.0) == 0
        assert cache.find(KEY) is not None


def test_results_that_nobody_used_for_long_are_forgotten(tmp_path: Path, store: Store) -> None:
    with opened(tmp_path, store, at=100.0) as cache:
        cache.put([CachedResult(KEY, None), CachedResult("cd" * 32, None)], shareable=True)
    with opened(tmp_path, store, at=200.0) as cache:
        assert cache.find(KEY) is not None
    with opened(tmp_path, store, at=250.0) as cache:
        assert cache.forget(idle_seconds=100.0) == 1
        assert cache.find(KEY) is not None
        assert cache.find("cd" * 32) is None


def test_a_cache_file_that_is_none_is_made_anew(tmp_path: Path, store: Store) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "cache.db").write_bytes(
        b"this is no database, and long enough to be seen as none" * 10
    )
    with opened(tmp_path, store) as cache:
        cache.put([CachedResult(KEY, None)], shareable=True)
        assert cache.find(KEY) is not None


def test_a_cache_file_whose_damage_shows_in_use_is_told_and_made_anew(tmp_path: Path, store: Store) -> None:
    with opened(tmp_path, store) as cache:
        cache.put([CachedResult(f"{number:064x}", None) for number in range(200)], shareable=True)
    file = tmp_path / "build" / "cache.db"
    head = file.read_bytes()[:4096]
    file.write_bytes(head + b"\xff" * (file.stat().st_size - 4096))
    with opened(tmp_path, store) as cache, pytest.raises(DiskError, match=r"damaged .* build again"):
        cache.find(KEY)
    with opened(tmp_path, store) as cache:
        assert cache.find(KEY) is None


def test_a_cache_file_that_cannot_be_opened_is_a_clear_error(tmp_path: Path, store: Store) -> None:
    (tmp_path / "build" / "cache.db").mkdir(parents=True)
    with pytest.raises(DiskError, match=r"build cache .*cache\.db"):
        opened(tmp_path, store)


def test_the_signed_statement_names_cluster_key_and_layer() -> None:
    result = CachedResult(KEY, LAYER)
    others = [
        result.statement("other"),
        CachedResult("cd" * 32, LAYER).statement("one"),
        CachedResult(KEY, None).statement("one"),
        CachedResult(KEY, replace(LAYER, diff_id=Digest.of(b"x"))).statement("one"),
    ]
    assert len({result.statement("one"), *others}) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"key": "../x"},
        {"key": 5},
        {"digest": "sha256:short"},
        {"size": -1},
        {"size": True},
        {"diff_id": None},
        {"recipe": 5},
        {"media_type": "x" * 2000},
    ],
)
def test_a_malformed_result_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ContentError):
        parse_result(CachedResult(KEY, LAYER).as_json() | change)
    with pytest.raises(ContentError):
        parse_result([])
