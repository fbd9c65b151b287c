"""Tags: one node asks the registry for all, and time never runs backwards."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.wire.tracker_calls import Resolve, ResolveAnswer, Resolved, TagRecord
from tests.tracker.nodes import CLUSTER, REGISTRY, node_id
from tracker.directory.events import Counters
from tracker.directory.tags import LEASE_SECONDS, Tags
from tracker.directory.tracker import Tracker

OLD, NEW = Digest.of(b"old"), Digest.of(b"new")


@pytest.fixture
def tags() -> Tags:
    return Tags(Counters(), random.Random(5))


def ask(tags: Tags, number: int, now: float, max_age: float = 60.0, tag: str = "latest") -> ResolveAnswer:
    return tags.on_resolve(Resolve(CLUSTER, node_id(number), REGISTRY, "library/fish", tag, max_age), now)


def tell(
    tags: Tags,
    number: int,
    now: float,
    digest: Digest | None = OLD,
    *,
    age: float = 0.0,
    not_found: bool = False,
    failure: str = "",
) -> bool:
    record = TagRecord(digest, 7, "application/x", age) if digest else None
    call = Resolved(CLUSTER, node_id(number), REGISTRY, "library/fish", "latest", record, not_found, failure)
    return tags.on_resolved(call, now)


def test_one_of_many_asks_the_registry_and_all_hear_the_answer(tags: Tags) -> None:
    answers = [ask(tags, number, 0) for number in range(100)]
    assert [answer.lease for answer in answers].count(True) == 1
    assert all(0.05 <= answer.retry_seconds <= 0.2 for answer in answers if not answer.lease)
    tell(tags, 0, 0.1)
    heard = [ask(tags, number, 0.2).record for number in range(100)]
    assert all(record is not None and record.digest == OLD for record in heard)


def test_who_waited_is_answered_with_the_outcome_even_where_it_wanted_no_age_at_all(tags: Tags) -> None:
    assert ask(tags, 1, 0, max_age=0).lease
    assert ask(tags, 2, 0.1, max_age=0).retry_seconds > 0
    tell(tags, 1, 0.5)
    assert ask(tags, 2, 0.6, max_age=0).record is not None
    assert ask(tags, 3, 0.7, max_age=0).lease


def test_who_gave_up_waiting_long_ago_is_not_answered_with_what_it_waited_for(tags: Tags) -> None:
    ask(tags, 1, 0)
    ask(tags, 2, 0)
    tell(tags, 1, 0.1)
    assert ask(tags, 2, 1000).lease


def test_a_record_too_old_is_revalidated_and_told_as_the_last_one(tags: Tags) -> None:
    ask(tags, 1, 0)
    tell(tags, 1, 0)
    assert ask(tags, 2, 60, max_age=60).record == TagRecord(OLD, 7, "application/x", 60)
    answer = ask(tags, 2, 61, max_age=60)
    assert answer.lease
    assert answer.last == TagRecord(OLD, 7, "application/x", 61)


def test_a_lease_that_brings_nothing_goes_to_another_node(tags: Tags) -> None:
    ask(tags, 1, 0)
    assert not ask(tags, 2, LEASE_SECONDS - 0.1).lease
    assert ask(tags, 2, LEASE_SECONDS + 0.1).lease
    assert not tell(tags, 1, LEASE_SECONDS + 0.2)
    assert ask(tags, 2, LEASE_SECONDS + 0.3).lease


def test_a_lessee_that_asks_again_is_told_again_to_ask_the_registry(tags: Tags) -> None:
    ask(tags, 1, 0)
    assert ask(tags, 1, 0.5).lease


def test_a_failure_reaches_those_who_wait_with_the_last_record_and_is_soon_forgotten(tags: Tags) -> None:
    ask(tags, 1, 0)
    tell(tags, 1, 0)
    ask(tags, 1, 100)
    tell(tags, 1, 100, None, failure="connection refused")
    answer = ask(tags, 2, 100.5)
    assert answer.failure == "connection refused"
    assert answer.last is not None
    assert answer.last.digest == OLD
    assert ask(tags, 2, 101.5).lease


def test_not_found_is_not_found_and_takes_the_record_away(tags: Tags) -> None:
    ask(tags, 1, 0)
    tell(tags, 1, 0)
    ask(tags, 1, 100)
    tell(tags, 1, 100, None, not_found=True)
    answer = ask(tags, 2, 100.5)
    assert answer.not_found
    assert answer.last is answer.record is None
    later = ask(tags, 2, 102)
    assert later.lease
    assert later.last is None


def test_an_older_answer_does_not_replace_a_newer_one(tags: Tags) -> None:
    tell(tags, 1, 100, NEW)
    assert not tell(tags, 2, 110, OLD, age=50)
    record = ask(tags, 3, 111).record
    assert record is not None
    assert record.digest == NEW


def test_a_record_older_than_a_404_does_not_come_back(tags: Tags) -> None:
    ask(tags, 1, 100)
    tell(tags, 1, 100, None, not_found=True)
    assert not tell(tags, 2, 105, OLD, age=20)
    assert ask(tags, 3, 106).last is None


def test_nobody_answers_in_place_of_the_node_that_asks_the_registry(tags: Tags) -> None:
    ask(tags, 1, 0)
    assert not tell(tags, 2, 1, NEW)
    assert ask(tags, 3, 1).record is None


def test_the_tags_least_used_make_room() -> None:
    tags = Tags(Counters(), random.Random(5), max_tags=3)
    for number in range(10):
        ask(tags, number, 0, tag=f"v{number}")
    assert len(tags) == 3


def test_calls_of_another_cluster_or_of_a_banned_node_are_refused(tracker: Tracker) -> None:
    call = Resolve("pond", node_id(1), REGISTRY, "library/fish", "latest", 1.0)
    with pytest.raises(InputError, match="pond"):
        tracker.on_resolve(call, 0)
    tracker.directory.bans.ban(node_id(1), "lied", 0)
    with pytest.raises(InputError, match="banned"):
        tracker.on_resolve(Resolve(CLUSTER, node_id(1), REGISTRY, "library/fish", "latest", 1.0), 0)


events = st.tuples(
    st.sampled_from(["ask", "record", "not found", "failure"]),
    st.integers(1, 4),
    st.floats(0, 20),
    st.floats(0, 30),
)


@given(st.lists(events, max_size=40))
def test_what_is_told_never_goes_back_in_time(steps: list[tuple[str, int, float, float]]) -> None:
    tags = Tags(Counters(), random.Random(5))
    now, newest = 0.0, float("-inf")
    for kind, number, passed, age in steps:
        now += passed
        if kind == "ask":
            answer = ask(tags, number, now, max_age=age)
            for record in (answer.record, answer.last):
                if record is not None:
                    asked_at = now - record.age_seconds
                    assert asked_at >= newest - 1e-6
                    newest = max(newest, asked_at)
            told = [
                answer.record is not None,
                answer.lease,
                answer.retry_seconds > 0,
                answer.not_found,
                answer.failure != "",
            ]
            assert told.count(True) == 1
        else:
            tell(
                tags,
                number,
                now,
                OLD if kind == "record" else None,
                age=age,
                not_found=kind == "not found",
                failure="no" if kind == "failure" else "",
            )
