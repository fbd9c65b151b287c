"""Whatever a well-formed call says, the tracker answers it, and its books still agree."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.wire.tracker_calls import (
    ANNOUNCE_ANSWER,
    Announce,
    Claim,
    LeaseReport,
    Suspicion,
    SwarmReport,
    decode_call,
    encode_call,
)
from tests.tracker.nodes import CLUSTER, node_id
from tracker.directory.lease import LeaseKind
from tracker.directory.tracker import Tracker

DIGESTS = [Digest.of(b"a"), Digest.of(b"b")]
small = st.integers(0, 9)
sizes = st.sampled_from([None, 0, 1, 600_000, 600_000, 600_000, 1 << 45])
reports = st.builds(
    SwarmReport,
    digest=st.sampled_from(DIGESTS),
    size=sizes,
    have=st.none() | st.binary(max_size=3),
    complete=st.booleans(),
    leases_wanted=st.integers(0, 3),
    cursor=st.integers(0, 1 << 53),
    source=st.sampled_from(["", "r"]),
    leases=st.lists(st.builds(LeaseReport, small, small, small, small, small), max_size=3).map(tuple),
    claims=st.lists(st.builds(Claim, small, st.sampled_from([b"1" * 32, b"2" * 32])), max_size=3).map(tuple),
    suspicions=st.lists(
        st.builds(Suspicion, st.integers(0, 5).map(node_id), st.none() | small, st.just("x")), max_size=1
    ).map(tuple),
    refused=st.booleans(),
    throttled_seconds=st.none() | st.floats(0, 1e10),
    peers_wanted=st.integers(0, 100),
    starving=st.booleans(),
    body=st.sampled_from([None, b"a", b"x"]),
    left=st.booleans(),
    no_ranges=st.booleans(),
)
calls = st.builds(
    Announce,
    cluster=st.just(CLUSTER),
    node=st.integers(0, 5).map(node_id),
    name=st.just("n"),
    address=st.sampled_from(["10.0.0.1:1", "10.0.0.2:1"]),
    zone=st.sampled_from(["", "z"]),
    rack=st.sampled_from(["", "k"]),
    full=st.booleans(),
    swarms=st.lists(reports, max_size=3).map(tuple),
    leaving=st.booleans(),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(calls, st.sampled_from([0.0, 0.3, 3.0, 20.0])), max_size=20))
def test_any_calls_are_answered_and_leave_the_books_in_order(steps: list[tuple[Announce, float]]) -> None:
    tracker = Tracker(CLUSTER, random.Random(4))
    now = 0.0
    for call, passed in steps:
        now += passed
        tracker.on_timer(now)
        try:
            answer = tracker.on_announce(call, "10.0.0.1", now)
        except InputError:
            continue
        assert decode_call(ANNOUNCE_ANSWER, encode_call(ANNOUNCE_ANSWER, answer)) == answer
        for swarm in tracker.directory.swarms.values():
            union = 0
            for lease in swarm.leases.values():
                if lease.kind is LeaseKind.NORMAL:
                    assert not union & lease.bits
                    union |= lease.bits
            assert union == swarm.leased
            assert swarm.members
    tracker.on_timer(now + 1e5)
    assert tracker.directory.nodes == {}
    assert tracker.directory.swarms == {}
    assert len(tracker.directory.leases) == 0
    assert tracker.directory.busy_nodes == 0
