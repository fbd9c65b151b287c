"""Names of the cluster's own images: one order for all nodes, whatever is told when; copies that a push waits for."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.content.pushed import PushedName
from agent.wire import push_calls as calls
from agent.wire.shape import Malformed
from agent.wire.tracker_calls import Announce, FetchOrder, SwarmReport, decode_call, encode_call
from tests.tracker.nodes import CLUSTER, node_id
from tracker.directory.events import EventKind, Journal
from tracker.directory.pushed_names import PushedNames
from tracker.directory.tracker import Tracker

NOW = 1_700_000_000.0
ONE, TWO = Digest.of(b"one"), Digest.of(b"two")
TYPE = "application/vnd.oci.image.manifest.v1+json"


def pushed(
    name: str = "1", digest: Digest = ONE, at: float = 0.0, writer: int = 1, deleted: bool = False
) -> PushedName:
    return PushedName("team/app", name, digest, 3, TYPE, None, at, node_id(writer), deleted)


def publish(names: PushedNames, node: int, told: PushedName, now: float = NOW) -> PushedName:
    return names.on_publish(calls.Publish(CLUSTER, node_id(node), (told,)), now).names[0]


def find(names: PushedNames, name: str = "1", repository: str = "team/app") -> calls.FindAnswer:
    return names.on_find(calls.Find(CLUSTER, node_id(9), repository, name))


def test_the_last_push_of_a_tag_wins_and_both_are_told(names: PushedNames, journal: Journal) -> None:
    first = publish(names, 1, pushed())
    second = publish(names, 2, pushed(digest=TWO))
    assert (first.at, first.writer) == (NOW, node_id(1))
    assert second.at > first.at
    assert second.writer == node_id(2)
    assert find(names).record == second
    [event] = journal.take_events()
    assert event.kind is EventKind.TAG_MOVED
    assert ONE.short in event.detail
    assert TWO.short in event.detail


def test_an_old_push_that_is_told_late_changes_nothing(names: PushedNames, journal: Journal) -> None:
    current = publish(names, 1, pushed())
    assert publish(names, 2, pushed(digest=TWO, at=NOW - 100, writer=2)) == current
    assert [event.kind for event in journal.take_events()] == [EventKind.PUSH_OUTDONE]


def test_what_was_deleted_is_not_brought_back_by_who_was_away(names: PushedNames) -> None:
    old = publish(names, 1, pushed())
    publish(names, 2, replace(old, at=0.0, deleted=True), NOW + 10)
    assert publish(names, 3, old, NOW + 20).deleted
    answer = find(names)
    assert answer.record is not None
    assert answer.record.deleted
    assert not names.on_names(calls.Names(CLUSTER, node_id(1), "team/app", None, "", 0)).exists


@pytest.mark.parametrize("tag_first", [True, False])
def test_a_deleted_manifest_takes_its_tags_with_it_in_whatever_order_that_is_told(
    names: PushedNames, tag_first: bool
) -> None:
    tag, gone = pushed(at=NOW), pushed(str(ONE), at=NOW + 1, deleted=True)
    for told in (tag, gone) if tag_first else (gone, tag):
        publish(names, 1, told, NOW + 5)
    record = find(names).record
    assert record is not None
    assert record.deleted
    publish(names, 1, pushed(str(ONE)), NOW + 10)
    publish(names, 1, pushed(), NOW + 10)
    again = find(names).record
    assert again is not None
    assert not again.deleted


def test_nobody_pushes_in_the_future(names: PushedNames) -> None:
    assert publish(names, 1, pushed(at=NOW + 1e6)).at == NOW
    assert publish(names, 2, pushed(digest=TWO)).digest == TWO


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 5), st.booleans(), st.booleans()), min_size=1, max_size=8
    ),
    st.randoms(use_true_random=False),
)
def test_in_whatever_order_it_is_told_all_trackers_come_to_the_same(
    told: list[tuple[int, int, bool, bool]], rng: random.Random
) -> None:
    unique = {(writer, at): (digest, gone) for writer, at, digest, gone in told}
    records = [
        pushed(digest=TWO if digest else ONE, at=float(at), writer=writer, deleted=gone)
        for (writer, at), (digest, gone) in unique.items()
    ]
    ends = set()
    for _ in range(3):
        names = PushedNames(Journal())
        rng.shuffle(records)
        for record in records:
            publish(names, 7, record)
        ends.add(find(names).record)
    assert ends == {max(records, key=lambda record: record.stamp)}


def test_tags_are_listed_page_by_page_without_regard_to_case(names: PushedNames) -> None:
    for tag in ("b", "A", "c", "B"):
        publish(names, 1, pushed(tag))
    publish(names, 1, pushed(str(ONE)))
    publish(names, 1, pushed("gone"))
    publish(names, 1, pushed("gone", deleted=True))
    pages, last = [], ""
    while True:
        page = names.on_names(calls.Names(CLUSTER, node_id(1), "team/app", None, last, 2))
        pages.append(page.names)
        if not page.more:
            break
        last = page.names[-1]
    assert pages == [("A", "B"), ("b", "c")]
    assert names.on_names(calls.Names(CLUSTER, node_id(1), "", None, "", 10)).names == ("team/app",)


def test_referrers_are_the_manifests_that_name_a_subject(names: PushedNames) -> None:
    referrer = replace(pushed(str(TWO), TWO), subject=ONE)
    publish(names, 1, referrer)
    publish(names, 1, replace(referrer, name="tagged"))
    answer = names.on_names(calls.Names(CLUSTER, node_id(1), "team/app", ONE, "", 10))
    assert [record.digest for record in answer.records] == [TWO]


def test_there_is_an_end_to_names() -> None:
    names = PushedNames(Journal(), max_names=2)
    for tag in ("1", "2", "3"):
        publish(names, 1, pushed(tag))
    assert len(names) == 2
    assert publish(names, 2, pushed("1", TWO)).digest == TWO


@pytest.mark.parametrize(
    ("repository", "name"), [("../x", "1"), ("team/app", "../1"), ("team/app", "a b"), ("A", "1")]
)
def test_names_outside_the_grammar_do_not_reach_the_tracker(repository: str, name: str) -> None:
    call = encode_call(calls.FIND, calls.Find(CLUSTER, node_id(1), repository, name))
    with pytest.raises(Malformed):
        decode_call(calls.FIND, call)


def test_another_clusters_pushes_are_refused() -> None:
    tracker = Tracker(CLUSTER, random.Random(1))
    with pytest.raises(InputError, match="serves the cluster"):
        tracker.on_publish(calls.Publish("other", node_id(1), (pushed(),)), NOW)


def announce(tracker: Tracker, node: int, now: float, *complete: Digest) -> tuple[FetchOrder, ...]:
    reports = tuple(SwarmReport(digest, 3, complete=True) for digest in complete)
    call = Announce(CLUSTER, node_id(node), f"n{node}", f"10.0.0.{node}:1", "", "", True, reports)
    return tracker.on_announce(call, f"10.0.0.{node}", now).fetch


def test_as_many_nodes_are_asked_for_copies_as_are_wanted_and_counted_when_they_have_all() -> None:
    tracker = Tracker(CLUSTER, random.Random(1))
    for node in range(1, 6):
        announce(tracker, node, 0.0, *([ONE, TWO] if node == 1 else []))
    call = calls.Replicate(CLUSTER, node_id(1), "team/app", "1", ONE, 3, (ONE, TWO), 3)
    answer = tracker.on_replicate(call, 1.0)
    assert (answer.holders, answer.nodes) == (1, 5)
    order = FetchOrder("team/app", "1", ONE, 3)
    asked = [node for node in range(1, 6) if announce(tracker, node, 2.0, *([ONE, TWO] if node == 1 else []))]
    assert len(asked) == 2
    assert {peer.address for peer in answer.asked} == {f"10.0.0.{node}:1" for node in asked}
    assert 1 not in asked
    assert announce(tracker, asked[0], 2.0) == (order,)
    announce(tracker, asked[0], 3.0, ONE)
    assert tracker.on_replicate(call, 3.0).holders == 1  # a part is no copy
    for node in asked:
        announce(tracker, node, 4.0, ONE, TWO)
    assert tracker.on_replicate(call, 4.0) == calls.ReplicateAnswer(3, 5)
    assert announce(tracker, asked[0], 5.0, ONE, TWO) == ()


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def names(journal: Journal) -> PushedNames:
    return PushedNames(journal)
