"""Bytes of chunks in memory stay within `peer.in_flight_bytes`, and nothing waits for ever because of it."""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing

from agent.content.digest import Digest
from agent.node.in_flight import Budget
from agent.node.node import Node
from tests.agent.node.cluster import open_cluster, pull, pull_everywhere
from tests.fakes.upstream import open_upstream

pytestmark = pytest.mark.slow

CHUNK = 64 * 1024


def _limit(budgets: Iterable[Budget], limit_bytes: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What each of them came to whenever something was taken."""
    seen: list[int] = []

    def take(budget: Budget, count: int) -> None:
        budget.used_bytes += count
        seen.append(budget.used_bytes)

    for budget in budgets:
        budget.limit_bytes = limit_bytes
        monkeypatch.setattr(budget, "take", lambda count, budget=budget: take(budget, count))
    return seen


def _budgets(node: Node) -> tuple[Budget, Budget]:
    return node.in_flight.transfers, node.in_flight.reads


def _all_given_back(node: Node) -> bool:
    return node.in_flight.transfers.used_bytes == 0 and node.in_flight.reads.used_bytes == 0


async def test_many_layers_at_once_come_in_within_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = [random.Random(n).randbytes(10 * CHUNK + n) for n in range(12)]
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=layers)
        async with open_cluster(upstream, tmp_path, 3) as cluster:
            # Of transfers alone: a node that peers keep waiting reads the registry, and whoever is first there may take
            # more than the limit.
            seen = [_limit([node.in_flight.transfers], 3 * CHUNK, monkeypatch) for node in cluster.nodes[1:]]
            with trio.fail_after(20):
                await pull(cluster.nodes[0], "team/app")
                await pull_everywhere(cluster.nodes[1:], "team/app")
            for node, taken in zip(cluster.nodes[1:], seen, strict=True):
                assert taken
                assert max(taken) <= 3 * CHUNK
                assert _all_given_back(node)


async def test_a_cold_image_of_many_layers_is_read_within_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = [random.Random(n).randbytes(5 * CHUNK + n) for n in range(12)]
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=layers)
        async with open_cluster(upstream, tmp_path, 2) as cluster:
            seen = [_limit(_budgets(node), 3 * 1024 * 1024, monkeypatch) for node in cluster.nodes]
            with trio.fail_after(20):
                await pull_everywhere(cluster.nodes, "team/app")
            assert all(max(taken) <= 3 * 1024 * 1024 for taken in seen)
            assert all(_all_given_back(node) for node in cluster.nodes)
        assert upstream.bytes_sent("/blobs/") <= 1.1 * sum(map(len, layers)) + 10_000


async def test_what_is_broken_off_is_given_back(tmp_path: Path) -> None:
    layer = random.Random(3).randbytes(3_000_000)
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[layer])
        upstream.bytes_per_second = 2_000_000
        async with open_cluster(upstream, tmp_path, 2, store__linger="10ms") as cluster:
            with trio.move_on_after(0.3):
                await pull_everywhere(cluster.nodes, "team/app")
            with trio.fail_after(10):
                while any(node.blobs.downloads for node in cluster.nodes):
                    await trio.sleep(0.01)
            assert all(_all_given_back(node) for node in cluster.nodes)
            assert all(node.store.size_of(Digest.of(layer)) is None for node in cluster.nodes)


async def test_who_waits_is_served_in_turn_and_the_first_whatever_it_wants() -> None:
    budget = Budget(10)
    order: list[Any] = []

    async def take(count: int) -> None:
        async with budget.taking(count):
            order.append(count)
            await trio.lowlevel.checkpoint()
            assert budget.used_bytes <= max(10, count)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for count in (50, 6, 7, 3, 99, 1):
                nursery.start_soon(take, count)
                await trio.testing.wait_all_tasks_blocked(0)
    assert sorted(order) == [1, 3, 6, 7, 50, 99]
    assert budget.used_bytes == 0
    assert not budget.is_contested


async def test_who_stops_waiting_takes_nothing() -> None:
    budget = Budget(10)
    budget.take(10)
    with trio.move_on_after(0.01):
        async with budget.taking(5):
            raise AssertionError
    assert budget.used_bytes == 10
    assert not budget.is_contested


async def test_the_lowest_rank_goes_first_as_it_is_when_there_is_room() -> None:
    budget = Budget(10)
    order: list[str] = []
    ranks = {"ahead": 1, "wanted": 0, "wanted since": 2}

    async def take(name: str) -> None:
        async with budget.taking(8, lambda: (ranks[name],)):
            order.append(name)

    budget.take(10)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for name in ranks:
                nursery.start_soon(take, name)
                await trio.testing.wait_all_tasks_blocked(0)
            ranks["wanted since"] = -1
            budget.give_back(10)
    assert order == ["wanted since", "wanted", "ahead"]


async def test_no_more_than_the_places_there_are_take_at_a_time() -> None:
    budget = Budget(1000, places=2)
    inside = most = 0

    async def take() -> None:
        nonlocal inside, most
        async with budget.taking(1):
            inside += 1
            most = max(most, inside)
            await trio.testing.wait_all_tasks_blocked(0)
            inside -= 1

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(take)
    assert most == 2
    assert not budget.is_contested
