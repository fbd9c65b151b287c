"""One `Swarm` at a time: what each event makes it do."""

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import pytest

from agent.content.chunk_map import ChunkMap
from agent.content.chunk_set import ChunkSet
from agent.swarm import actions as act
from agent.swarm.chunk_state import ChunkState
from agent.swarm.policy import SwarmPolicy
from agent.swarm.swarm import Swarm
from agent.wire.node_id import NodeId
from agent.wire.vouch import Vouch
from tests.agent.swarm.network import BLOB, PlainNotary, falsehood, node_id, truth

A = TypeVar("A")

ME, ANN, BOB, CAT, LIAR = (node_id(number) for number in range(1, 6))
POLICY = SwarmPolicy(ahead=1)
NONE = ChunkSet()
INFINITY = float("inf")


def chunks(*indices: int) -> ChunkSet:
    return ChunkSet.of(indices)


def swarm(count: int = 8, have: ChunkSet = NONE, policy: SwarmPolicy = POLICY) -> Swarm:
    return Swarm(BLOB, ChunkMap(count * 100, 100), have, PlainNotary(ME), random.Random(1), policy)


def seed(count: int = 8) -> Swarm:
    whole = swarm(count, ChunkSet.full(count))
    whole.on_whole(truth(index) for index in range(count))
    return whole


def vouch(index: int, by: NodeId = CAT, chunk: bytes | None = None) -> Vouch:
    return Vouch(truth(index) if chunk is None else chunk, by, by * 2)


def only(todo: Sequence[act.Action], kind: type[A]) -> list[A]:
    return [action for action in todo if isinstance(action, kind)]


def join(one: Swarm, *peers: NodeId, have: ChunkSet = NONE, want: ChunkSet = NONE, free: int = 3) -> None:
    for peer in peers:
        one.on_interest(peer, have, want, free, 0.0)


def receive(one: Swarm, index: int, sender: NodeId, now: float, by: NodeId = CAT) -> list[act.Action]:
    """A chunk comes in and verifies; the actions of these two steps."""
    (request,) = only(one.on_offer(sender, index, vouch(index, by), now), act.Request)
    arrived = one.on_arrived(sender, index, now)
    return arrived + one.on_verified(index, request.expected, sender, now)


def told(todo: Sequence[act.Action]) -> act.Tell:
    (tell,) = only(todo, act.Tell)
    return tell


# ---- offers


def test_a_holder_offers_a_neighbour_what_it_wants_with_its_vouch() -> None:
    offers = only(seed().on_interest(ANN, NONE, chunks(2), 3, 0.0), act.Offer)
    assert offers == [act.Offer(ANN, 2, vouch(2, ME))]


def test_offers_and_sends_together_never_exceed_the_slots() -> None:
    one = seed()
    offers = only(one.on_interest(ANN, NONE, ChunkSet.full(8), 1000, 0.0), act.Offer)
    assert len(offers) == POLICY.uploads + POLICY.ahead
    assert only(one.on_request(ANN, offers[0].index, 0.1), act.Offer) == []
    assert len(only(one.on_sent(ANN, offers[0].index, 0.2), act.Offer)) == 1


def test_no_more_is_offered_than_the_neighbour_can_take() -> None:
    assert len(only(seed().on_interest(ANN, NONE, ChunkSet.full(8), 1, 0.0), act.Offer)) == 1
    assert only(seed().on_interest(ANN, NONE, ChunkSet.full(8), 0, 0.0), act.Offer) == []


def test_what_is_offered_to_one_is_offered_to_another_last() -> None:
    one = seed(3)
    first = only(one.on_interest(ANN, NONE, ChunkSet.full(3), 2, 0.0), act.Offer)
    second = only(one.on_interest(BOB, NONE, ChunkSet.full(3), 1, 0.0), act.Offer)
    assert {offer.index for offer in first + second} == {0, 1, 2}


def test_the_chunk_sent_least_goes_first_then_the_rarest() -> None:
    one = seed(4)
    for index in (0, 1):
        one.on_interest(ANN, NONE, chunks(index), 1, 0.0)
        one.on_request(ANN, index, 0.0)
        one.on_sent(ANN, index, 0.0)
    one.on_interest(CAT, chunks(2), NONE, 0, 0.0)
    (offer,) = only(one.on_interest(BOB, NONE, ChunkSet.full(4), 1, 0.0), act.Offer)
    assert offer.index == 3


def test_an_urgent_chunk_goes_first() -> None:
    one = seed()
    one.on_interest(ANN, NONE, NONE, 1, 0.0)
    (offer,) = only(one.on_want(ANN, ChunkSet.full(8), NONE, 1, chunks(5), 0.0), act.Offer)
    assert offer.index == 5


def test_the_neighbour_with_the_most_room_comes_first() -> None:
    one = seed()
    for node, free in ((ANN, 1), (BOB, 3), (CAT, 2)):
        one.on_interest(node, NONE, NONE, free, 0.0)
    one.on_want(ANN, NONE, NONE, 1, NONE, 0.0)
    for peer in one.peers:
        peer.want = 0b1
    (first, *_) = only(one.on_timer(0.0), act.Offer)
    assert first.peer == BOB


def test_a_chunk_on_its_way_to_a_neighbour_is_not_offered_to_it_again() -> None:
    one = seed(1)
    join(one, ANN, want=chunks(0))
    one.on_request(ANN, 0, 0.1)
    assert only(one.on_want(ANN, chunks(0), NONE, 3, NONE, 1.5), act.Offer) == []
    assert only(one.on_sent(ANN, 0, 1.6), act.Offer) == []


def test_a_request_that_was_not_offered_is_declined() -> None:
    one = seed()
    join(one, ANN, want=chunks(0))
    assert one.on_request(ANN, 1, 0.0)[0] == act.Reject(ANN, 1, "not offered")
    assert one.on_request(BOB, 0, 0.0)[0] == act.Reject(BOB, 0, "not offered")
    assert only(one.on_request(ANN, 0, 0.0), act.Send) == [act.Send(ANN, 0)]
    assert one.on_request(ANN, 0, 0.0)[0] == act.Reject(ANN, 0, "not offered")


def test_an_unanswered_offer_frees_its_slot_and_silences_the_neighbour_for_a_while_only() -> None:
    one = seed(1)
    join(one, ANN, want=chunks(0))
    due = one.next_timer(0.0)
    assert due == POLICY.offer_seconds
    assert only(one.on_timer(due), act.Offer) == []
    again = one.next_timer(due)
    assert again == due + POLICY.offer_seconds
    assert only(one.on_timer(again), act.Offer) == [act.Offer(ANN, 0, vouch(0, ME))]
    one.on_timer(again + POLICY.offer_seconds)
    assert one.next_timer(again + POLICY.offer_seconds) == again + 3 * POLICY.offer_seconds


def test_a_silent_neighbour_that_is_heard_of_gets_offers_at_once() -> None:
    one = seed(1)
    join(one, ANN, want=chunks(0))
    one.on_timer(POLICY.offer_seconds)
    assert len(only(one.on_want(ANN, NONE, NONE, 3, NONE, 2.1), act.Offer)) == 1


def test_a_busy_neighbour_gets_the_next_offer_when_it_says_that_it_has_room() -> None:
    one = seed(2)
    join(one, ANN, want=chunks(0, 1), free=1)
    (offered,) = (index for peer in one.peers for index in peer.offered)
    assert only(one.on_reject(ANN, offered, "busy", 0.1), act.Offer) == []
    assert len(only(one.on_want(ANN, NONE, NONE, 1, NONE, 0.2), act.Offer)) == 1


def test_a_chunk_that_was_declined_is_offered_again_when_it_is_wanted_again() -> None:
    one = seed(1)
    join(one, ANN, want=chunks(0))
    assert only(one.on_reject(ANN, 0, "taken", 0.1), act.Offer) == []
    assert only(one.on_want(ANN, chunks(0), NONE, 3, NONE, 0.2), act.Offer) != []


def test_who_had_to_throw_a_chunk_away_can_have_it_again() -> None:
    one = seed(1)
    join(one, ANN, have=chunks(0))
    assert only(one.on_want(ANN, chunks(0), NONE, 3, NONE, 0.2), act.Offer) != []


def test_a_seed_that_has_served_for_long_still_sends_each_chunk_in_turn() -> None:
    one = seed(3)
    sent: list[int] = []
    for turn in range(90):
        (offer,) = only(one.on_interest(ANN, NONE, ChunkSet.full(3), 1, float(turn)), act.Offer)
        one.on_want(ANN, NONE, ChunkSet.full(3), 0, NONE, float(turn))
        one.on_request(ANN, offer.index, float(turn))
        one.on_sent(ANN, offer.index, float(turn))
        sent.append(offer.index)
    assert all(set(sent[at : at + 3]) == {0, 1, 2} for at in range(0, 90, 3))


# ---- taking chunks in


def test_a_wanted_chunk_that_somebody_vouches_for_is_requested() -> None:
    one = swarm()
    join(one, ANN)
    assert one.on_offer(ANN, 3, vouch(3), 1.0)[0] == act.Request(ANN, 3, truth(3))
    assert one.state_of(3) is ChunkState.INCOMING


def test_the_tracker_s_map_stands_for_a_chunk_without_a_vouch() -> None:
    one = swarm()
    join(one, ANN)
    one.on_claims([(3, truth(3))], lambda _: None, 0.0)
    assert one.on_offer(ANN, 3, None, 1.0)[0] == act.Request(ANN, 3, truth(3))


@pytest.mark.parametrize("bad", [None, Vouch(truth(3), CAT, b"forged")])
def test_what_nobody_vouches_for_is_declined_and_wanted_again_once_the_map_knows_it(
    bad: Vouch | None,
) -> None:
    one = swarm()
    join(one, ANN)
    assert one.on_offer(ANN, 3, bad, 1.0)[0] == act.Reject(ANN, 3, "unvouched")
    assert 3 in told(one.on_claims([(3, truth(3))], lambda _: None, 2.0)).add


def test_the_map_does_not_tell_wants_anew_that_nobody_was_refused() -> None:
    one = swarm()
    join(one, ANN)
    one.on_timer(0.5)
    assert (
        only(one.on_claims([(index, truth(index)) for index in range(8)], lambda _: None, 1.0), act.Tell)
        == []
    )


def test_a_chunk_is_requested_from_one_neighbour_only() -> None:
    one = swarm()
    join(one, ANN, BOB)
    one.on_offer(ANN, 3, vouch(3), 0.0)
    assert one.on_offer(BOB, 3, vouch(3), 0.1)[0] == act.Reject(BOB, 3, "taken")
    assert one.on_offer(ANN, 3, vouch(3), 0.1)[0] == act.Reject(ANN, 3, "taken")
    one.on_arrived(ANN, 3, 0.1)
    assert one.state_of(3) is ChunkState.CHECKING
    assert one.on_offer(BOB, 3, vouch(3), 0.2)[0] == act.Reject(BOB, 3, "have")


def test_no_more_is_requested_than_there_is_room_for() -> None:
    one = swarm()
    join(one, ANN)
    for index in range(POLICY.downloads + POLICY.ahead):
        assert only(one.on_offer(ANN, index, vouch(index), 0.0), act.Request) != []
    assert one.free == 0
    assert one.on_offer(ANN, 7, vouch(7), 0.0)[0] == act.Reject(ANN, 7, "busy")


@pytest.mark.parametrize("index", [-1, 8, 1 << 24])
def test_an_offer_of_a_chunk_that_there_is_not_is_declined(index: int) -> None:
    one = swarm()
    join(one, ANN)
    assert one.on_offer(ANN, index, vouch(0), 0.0) == [act.Reject(ANN, index, "unknown")]


def test_an_offer_of_a_stranger_is_declined() -> None:
    assert swarm().on_offer(ANN, 0, vouch(0), 0.0) == [act.Reject(ANN, 0, "unknown")]


def test_a_verified_chunk_is_told_and_passed_on_with_the_vouch_that_it_came_with() -> None:
    one = swarm()
    join(one, ANN)
    join(one, BOB, want=chunks(3))
    todo = receive(one, 3, ANN, 1.0)
    assert only(todo, act.Offer) == [act.Offer(BOB, 3, vouch(3))]
    assert told(one.on_timer(2.0)).have == chunks(3)
    assert one.state_of(3) is ChunkState.HAVE


def test_a_chunk_of_our_own_reading_is_passed_on_with_our_own_vouch() -> None:
    one = swarm()
    join(one, BOB, want=chunks(3))
    one.on_reading(chunks(3), 0.5)
    assert one.on_offer(BOB, 3, vouch(3), 0.6)[0] == act.Reject(BOB, 3, "taken")
    assert only(one.on_verified(3, truth(3), None, 1.0), act.Offer) == [act.Offer(BOB, 3, vouch(3, ME))]


def test_a_node_with_the_whole_blob_vouches_itself() -> None:
    one = swarm(1)
    join(one, ANN)
    receive(one, 0, ANN, 1.0)
    one.on_whole([truth(0)])
    assert only(one.on_interest(BOB, NONE, chunks(0), 1, 2.0), act.Offer) == [act.Offer(BOB, 0, vouch(0, ME))]


def test_a_chunk_under_way_that_the_registry_brought_first_is_cancelled() -> None:
    one = swarm()
    join(one, ANN)
    one.on_offer(ANN, 3, vouch(3), 0.0)
    one.on_reading(chunks(3), 0.1)
    assert one.state_of(3) is ChunkState.INCOMING
    assert only(one.on_verified(3, truth(3), None, 0.2), act.Cancel) == [act.Cancel(ANN, 3)]


def test_a_chunk_whose_sender_dies_while_the_registry_is_read_stays_with_the_reading() -> None:
    one = swarm()
    join(one, ANN)
    one.on_offer(ANN, 3, vouch(3), 0.0)
    one.on_reading(chunks(3), 0.1)
    one.on_leave(ANN, 0.2)
    assert one.state_of(3) is ChunkState.READING


def test_the_neighbours_of_one_that_leaves_are_told_what_is_wanted_again() -> None:
    one = swarm()
    join(one, ANN, BOB)
    one.on_offer(ANN, 3, vouch(3), 1.0)
    tell = told(one.on_leave(ANN, 2.0))
    assert tell.add == chunks(3)
    assert tell.free == 3


def test_what_is_wanted_again_within_a_batch_is_told_again_all_the_same() -> None:
    """The neighbour that we said yes to has crossed it out by itself."""
    one = swarm()
    join(one, ANN, BOB)
    one.on_timer(1.0)
    one.on_have(ANN, chunks(0), 1.0)
    one.on_offer(ANN, 3, vouch(3), 5.0)
    one.on_arrived(ANN, 3, 5.0)
    one.on_unwritten(3, 5.001)
    assert one.state_of(3) is ChunkState.MISSING
    assert 3 in told(one.on_timer(one.next_timer(5.001))).add


def test_room_that_comes_back_within_a_batch_is_told() -> None:
    """Whoever joined in between heard of none."""
    one = swarm()
    join(one, ANN, BOB)
    one.on_timer(1.0)
    for index in range(3):
        one.on_offer(ANN, index, vouch(index), 2.0)
    one.on_timer(3.0)
    one.on_read_ended(NONE, 3.0)
    assert one.free == 0
    one.on_leave(ANN, 3.001)
    assert told(one.on_timer(one.next_timer(3.001))).free == 3


def test_a_new_neighbour_is_told_everything_since_our_greeting_may_have_crossed_with_news() -> None:
    one = swarm()
    join(one, ANN)
    one.on_timer(1.0)
    tell = told(one.on_interest(BOB, NONE, NONE, 3, 2.0))
    assert tell.add == ChunkSet.full(8)
    assert tell.free == 3


def test_news_is_told_in_batches() -> None:
    one = swarm()
    join(one, ANN)
    one.on_timer(1.0)
    assert only(receive(one, 0, ANN, 2.0), act.Tell) == []
    assert only(receive(one, 1, ANN, 2.001), act.Tell) == []
    due = one.next_timer(2.001)
    assert 2.0 < due <= 2.0 + 4 * POLICY.batch_seconds  # nothing came for two batches
    tell = told(one.on_timer(due))
    assert tell.have == chunks(0, 1)
    assert only(one.on_timer(due + 1), act.Tell) == []


def test_all_swarms_of_a_node_tell_at_the_same_moments() -> None:
    dues = set()
    for at in (2.001, 2.005, 2.009):
        one = swarm()
        join(one, ANN)
        one.on_timer(1.0)
        one.on_offer(ANN, 0, vouch(0), at)
        receive(one, 1, ANN, at)
        dues.add(one.next_timer(at))
    assert len(dues) == 1


def tells_of(one: Swarm, chunk_seconds: float) -> list[float]:
    """When it tells, if a chunk comes every so often."""
    at = []
    for number in range(200):
        now, stop = number * chunk_seconds, (number + 1) * chunk_seconds
        at += [now for _ in only(receive(one, number, ANN, now), act.Tell)]
        while (due := one.next_timer(now)) < stop:
            now = max(due, now)
            at += [now for _ in only(one.on_timer(now), act.Tell)]
    return at


@pytest.mark.parametrize(
    ("chunk_seconds", "least", "most"), [(0.002, 0.01, 0.025), (0.1, 0.05, 0.15), (2.0, 1.0, 2.2)]
)
def test_a_batch_is_about_as_long_as_a_chunk_takes(chunk_seconds: float, least: float, most: float) -> None:
    one = swarm(count=256)
    join(one, ANN)
    last = tells_of(one, chunk_seconds)[-5:]
    assert least < (last[-1] - last[0]) / 4 < most


def test_room_that_comes_back_is_told_at_once_to_a_few_who_hold_what_is_missing() -> None:
    one = swarm()
    able = {ANN, BOB, CAT, *(node_id(number) for number in range(10, 20))}
    join(one, *sorted(able), have=ChunkSet.full(8))
    join(one, LIAR)
    one.on_timer(1.0)
    one.on_offer(ANN, 0, vouch(0), 1.001)
    one.on_starving(7, 1.002)
    assert one.on_arrived(ANN, 0, 1.003) == []
    rooms = only(one.on_verified(0, truth(0), ANN, 1.003), act.TellOne)
    assert len({room.peer for room in rooms} & able) == len(rooms) == 5
    assert {room.news for room in rooms} == {act.Tell(NONE, NONE, NONE, one.free, chunks(7))}
    assert only(one.on_leave(LIAR, 1.004), act.TellOne) == []


def test_of_large_chunks_that_come_one_by_one_the_next_has_room_while_the_last_is_checked() -> None:
    large = ChunkMap(8 << 20, 1 << 20)
    one = Swarm(BLOB, large, NONE, PlainNotary(ME), random.Random(1), POLICY)
    join(one, ANN, have=ChunkSet.full(8))
    one.on_timer(1.0)
    (request,) = only(one.on_offer(ANN, 0, vouch(0), 1.001), act.Request)
    assert one.free == 0
    assert only(one.on_arrived(ANN, 0, 1.002), act.TellOne) == [
        act.TellOne(ANN, act.Tell(NONE, NONE, NONE, 1, NONE))
    ]
    assert one.state_of(0) is ChunkState.CHECKING
    assert only(one.on_verified(0, request.expected, ANN, 1.003), act.TellOne) == []


def test_where_nothing_moves_neighbours_are_told_everything_anew_ever_more_rarely() -> None:
    one = swarm()
    join(one, ANN)
    now, waits = 0.0, []
    for _ in range(7):
        due = one.next_timer(now)
        tells = only(one.on_timer(due), act.Tell)
        assert due > now
        if tells and tells[0].add == ChunkSet.full(8):
            waits.append(due)
        now = due
    gaps = [round(later - earlier) for earlier, later in pairwise(waits)]
    assert gaps[:3] == [10, 20, 40]


def test_a_reader_that_starves_makes_its_chunks_urgent() -> None:
    one = swarm()
    join(one, ANN)
    assert told(one.on_starving(3, 1.0)).urgent == chunks(3, 4)
    assert told(one.on_starving(7, 2.0)).urgent == chunks(7)


# ---- the last chunks


def late(one: Swarm) -> float:
    """ANN is sending the last chunk (7) and takes long; the time when it counts as late."""
    one.on_offer(ANN, 7, vouch(7), 1.0)
    return 1.0 + POLICY.late_seconds


def almost() -> Swarm:
    one = swarm(have=ChunkSet.full(7))
    join(one, ANN, BOB, CAT)
    one.on_timer(one.next_timer(0.0))
    return one


def test_a_late_last_chunk_is_wanted_from_a_second_neighbour_too() -> None:
    one = almost()
    due = late(one)
    assert one.on_offer(BOB, 7, vouch(7), 1.5)[0] == act.Reject(BOB, 7, "taken")
    times = []
    now = 1.5
    while now < due:
        now = one.next_timer(now)
        times.append((now, one.on_timer(now)))
    assert told(times[-1][1]).add == chunks(7)
    assert one.on_offer(BOB, 7, vouch(7), due)[0] == act.Request(BOB, 7, truth(7))
    assert one.on_offer(CAT, 7, vouch(7), due)[0] == act.Reject(CAT, 7, "taken")


@pytest.mark.parametrize("began", [0.1 * step for step in range(1, 60)])
def test_the_timer_of_lateness_fires_when_it_is_late(began: float) -> None:
    one = almost()
    one.on_offer(ANN, 7, vouch(7), began)
    one.on_timer(began + 0.5)
    due = one.next_timer(began + 0.5)
    assert told(one.on_timer(due)).add == chunks(7)


def test_three_late_chunks_leave_room_for_a_second_source() -> None:
    one = swarm(3)
    join(one, ANN, BOB)
    for index in range(3):
        one.on_offer(ANN, index, vouch(index), 1.0)
    tell = told(one.on_timer(2.5))
    assert tell.add == ChunkSet.full(3)
    assert tell.free == 1


def test_the_slower_of_two_sources_is_cancelled() -> None:
    one = almost()
    due = late(one)
    one.on_offer(BOB, 7, vouch(7), due)
    one.on_arrived(BOB, 7, due)
    assert only(one.on_verified(7, truth(7), BOB, due), act.Cancel) == [act.Cancel(ANN, 7)]
    assert one.is_complete


def test_a_second_source_must_mean_the_same_bytes() -> None:
    one = almost()
    due = late(one)
    other = vouch(7, LIAR, falsehood(7))
    assert one.on_offer(BOB, 7, other, due)[0] == act.Reject(BOB, 7, "unvouched")
    one.on_arrived(ANN, 7, due)
    one.on_verified(7, truth(7), ANN, due)
    assert one.claims.vouch_for(7) == vouch(7)


def test_a_chunk_is_wanted_again_where_one_source_dies_and_the_other_sent_rubbish() -> None:
    one = almost()
    due = late(one)
    one.on_offer(BOB, 7, vouch(7), due)
    one.on_arrived(BOB, 7, due)
    one.on_leave(ANN, due)
    assert one.state_of(7) is ChunkState.CHECKING
    one.on_corrupt(BOB, 7, due)
    assert one.state_of(7) is ChunkState.MISSING
    assert one.free == 3


def test_a_chunk_read_from_the_registry_is_not_late() -> None:
    one = almost()
    due = late(one)
    one.on_reading(chunks(7), 1.2)
    for tell in only([*one.on_timer(due), *one.on_timer(due + 1)], act.Tell):
        assert tell.add == NONE
    assert one.on_offer(BOB, 7, vouch(7), due)[0] == act.Reject(BOB, 7, "taken")


# ---- lies


def test_who_sends_wrong_bytes_is_banned_and_nothing_more_is_taken_from_it() -> None:
    one = swarm()
    join(one, ANN, BOB)
    one.on_offer(ANN, 3, vouch(3), 0.0)
    one.on_arrived(ANN, 3, 0.0)
    todo = one.on_corrupt(ANN, 3, 1.0)
    assert [ban.node for ban in only(todo, act.Ban)] == [ANN]
    assert one.state_of(3) is ChunkState.MISSING
    assert one.on_interest(ANN, ChunkSet.full(8), NONE, 3, 1.1) == []
    assert one.on_offer(ANN, 3, vouch(3), 1.2)[0] == act.Reject(ANN, 3, "unknown")
    assert one.on_offer(BOB, 4, vouch(4, ANN), 1.3)[0] == act.Reject(BOB, 4, "unvouched")


def lied_to() -> Swarm:
    """Holds 1, 2 (right) and 3 (wrong) on the word of LIAR, and 4 on CAT's."""
    one = swarm()
    join(one, ANN)
    for index, by, chunk in (
        (1, LIAR, truth(1)),
        (2, LIAR, truth(2)),
        (3, LIAR, falsehood(3)),
        (4, CAT, truth(4)),
    ):
        one.on_offer(ANN, index, vouch(index, by, chunk), 0.1)
        one.on_arrived(ANN, index, 0.1)
        one.on_verified(index, chunk, ANN, 0.1)
    assert one.have == chunks(1, 2, 3, 4)
    return one


def held(index: int) -> bytes:
    return falsehood(3) if index == 3 else truth(index)


def test_what_is_held_on_the_word_of_an_exposed_liar_is_thrown_away_unless_the_map_confirms_it() -> None:
    one = lied_to()
    todo = one.on_claims([(1, truth(1)), (3, truth(3))], held, 1.0)
    assert [ban.node for ban in only(todo, act.Ban)] == [LIAR]
    assert one.have == chunks(1, 4)
    gone = NONE
    for forget in only(todo, act.Forget):
        gone |= forget.chunks
    assert gone == chunks(2, 3)
    assert {2, 3} <= set(told(todo).add)


def test_what_is_thrown_away_is_not_sent_any_further() -> None:
    one = lied_to()
    one.on_interest(BOB, NONE, chunks(3), 3, 0.2)
    assert only(one.on_request(BOB, 3, 0.3), act.Send) != []
    todo = one.on_claims([(3, truth(3))], held, 1.0)
    stop = only(todo, act.Reject)
    assert stop == [act.Reject(BOB, 3, "gone")]
    assert todo.index(stop[0]) < todo.index(act.Forget(chunks(3)))
    assert one.on_sent(BOB, 3, 1.1) == []


def test_a_chunk_under_way_that_the_map_belies_is_cancelled() -> None:
    one = swarm()
    join(one, ANN)
    one.on_offer(ANN, 3, vouch(3, LIAR, falsehood(3)), 0.1)
    todo = one.on_claims([(3, truth(3))], lambda _: None, 1.0)
    assert only(todo, act.Cancel) == [act.Cancel(ANN, 3)]
    assert [ban.node for ban in only(todo, act.Ban)] == [LIAR]
    assert one.state_of(3) is ChunkState.MISSING


def test_a_chunk_being_checked_that_the_map_belies_is_not_kept() -> None:
    one = swarm()
    join(one, ANN)
    one.on_offer(ANN, 3, vouch(3, LIAR, falsehood(3)), 0.1)
    one.on_arrived(ANN, 3, 0.1)
    one.on_claims([(3, truth(3))], lambda _: None, 1.0)
    assert only(one.on_verified(3, falsehood(3), ANN, 1.1), act.Forget) == [act.Forget(chunks(3))]
    assert one.state_of(3) is ChunkState.MISSING


def test_a_chunk_being_checked_whose_voucher_is_exposed_is_not_kept() -> None:
    one = lied_to()
    one.on_offer(ANN, 6, vouch(6, LIAR), 0.5)
    one.on_arrived(ANN, 6, 0.5)
    one.on_claims([(3, truth(3))], held, 1.0)
    assert only(one.on_verified(6, truth(6), ANN, 1.1), act.Forget) == [act.Forget(chunks(6))]


def test_a_vouch_against_the_map_bans_its_voucher_once() -> None:
    one = swarm()
    join(one, ANN)
    one.on_claims([(3, truth(3))], lambda _: None, 0.0)
    lie = vouch(3, LIAR, falsehood(3))
    assert [ban.node for ban in only(one.on_offer(ANN, 3, lie, 1.0), act.Ban)] == [LIAR]
    assert only(one.on_offer(ANN, 3, lie, 1.1), act.Ban) == []


def test_a_forged_vouch_against_the_map_bans_nobody() -> None:
    one = swarm()
    join(one, ANN)
    one.on_claims([(3, truth(3))], lambda _: None, 0.0)
    forged = Vouch(falsehood(3), CAT, b"forged")
    todo = one.on_offer(ANN, 3, forged, 1.0)
    assert todo[0] == act.Reject(ANN, 3, "unvouched")
    assert only(todo, act.Ban) == []


def test_a_vouch_that_comes_with_a_settled_chunk_is_passed_on() -> None:
    """So a neighbour without the tracker's map can have it, too."""
    one = swarm()
    join(one, ANN)
    join(one, BOB, want=chunks(3))
    one.on_claims([(3, truth(3))], lambda _: None, 0.0)
    assert only(receive(one, 3, ANN, 1.0), act.Offer) == [act.Offer(BOB, 3, vouch(3))]


def test_our_own_reading_stays_whatever_the_map_says() -> None:
    one = swarm()
    join(one, ANN)
    one.on_verified(3, falsehood(3), None, 0.0)
    assert only(one.on_claims([(3, truth(3))], held, 1.0), act.Forget) == []
    assert one.have == chunks(3)


def test_a_whole_that_does_not_match_costs_what_came_from_others_and_bans_them_but_not_us() -> None:
    one = swarm(4)
    join(one, ANN, BOB, have=NONE, want=ChunkSet.full(4))
    one.on_verified(0, truth(0), None, 0.0)
    receive(one, 1, ANN, 0.1, by=ANN)
    receive(one, 2, ANN, 0.1, by=LIAR)
    receive(one, 3, BOB, 0.1, by=LIAR)
    todo = one.on_mismatch(1.0)
    assert {ban.node for ban in only(todo, act.Ban)} == {ANN, BOB, LIAR}
    assert only(todo, act.Forget) == [act.Forget(chunks(1, 2, 3))]
    assert one.have == chunks(0)


def test_resumed_chunks_go_too_where_the_whole_does_not_match() -> None:
    one = swarm(2, have=chunks(0))
    join(one, ANN)
    receive(one, 1, ANN, 0.1)
    assert only(one.on_mismatch(1.0), act.Forget) == [act.Forget(chunks(0, 1))]


def test_where_we_read_everything_ourselves_everything_goes_and_our_word_with_it() -> None:
    one = swarm(2)
    join(one, BOB, want=ChunkSet.full(2))
    for index in range(2):
        one.on_verified(index, falsehood(index), None, 0.0)
    todo = one.on_mismatch(1.0)
    assert only(todo, act.Forget) == [act.Forget(chunks(0, 1))]
    assert only(todo, act.Ban) == []
    one.on_reading(chunks(0), 2.0)
    one.on_reject(BOB, 0, "x", 2.0)
    one.on_reject(BOB, 1, "x", 2.0)
    one.on_verified(0, truth(0), None, 3.0)
    (offer,) = only(one.on_want(BOB, chunks(0), NONE, 1, NONE, 4.0), act.Offer)
    assert offer.vouch == vouch(0, ME)


def whole_with_a_lie() -> Swarm:
    """Every chunk is here, 0 wrong on LIAR's word, and the map has just said so; the whole is being checked."""
    one = swarm(2)
    join(one, ANN)
    for index, by, chunk in ((0, LIAR, falsehood(0)), (1, CAT, truth(1))):
        one.on_offer(ANN, index, vouch(index, by, chunk), 0.1)
        one.on_arrived(ANN, index, 0.1)
        one.on_verified(index, chunk, ANN, 0.1)
    todo = one.on_claims([(0, truth(0))], lambda _: falsehood(0), 1.0)
    assert only(todo, act.Forget) == []
    assert [ban.node for ban in only(todo, act.Ban)] == [LIAR]
    assert one.is_complete
    assert only(one.on_interest(BOB, NONE, chunks(0), 3, 1.1), act.Offer) == []
    return one


def test_a_belied_chunk_of_a_whole_goes_alone_when_the_whole_does_not_match() -> None:
    one = whole_with_a_lie()
    todo = one.on_mismatch(2.0)
    assert only(todo, act.Forget) == [act.Forget(chunks(0))]
    assert only(todo, act.Ban) == []
    assert one.have == chunks(1)
    assert one.on_mismatch(2.1) == []


def test_a_second_copy_of_a_belied_chunk_does_not_throw_the_first_away() -> None:
    one = whole_with_a_lie()
    assert only(one.on_verified(0, falsehood(0), BOB, 1.5), act.Forget) == []
    assert one.is_complete


def test_the_digest_of_the_whole_outweighs_the_map() -> None:
    one = whole_with_a_lie()
    one.on_whole([falsehood(0), truth(1)])
    assert only(one.on_timer(2.0), act.Offer) == [act.Offer(BOB, 0, vouch(0, ME, falsehood(0)))]


# ---- what a hostile or confused neighbour says


def test_chunks_past_the_end_are_ignored() -> None:
    one = swarm()
    far = chunks(1 << 20)
    one.on_interest(ANN, far, far, 3, 0.0)
    one.on_have(ANN, far, 0.1)
    one.on_want(ANN, far, NONE, 3, far, 0.1)
    (peer,) = one.peers
    assert (peer.have, peer.want, peer.urgent) == (0, 0, 0)


def test_events_of_strangers_do_nothing() -> None:
    one = swarm()
    assert one.on_have(ANN, chunks(0), 0.0) == []
    assert one.on_want(ANN, chunks(0), NONE, 3, NONE, 0.0) == []
    assert one.on_reject(ANN, 0, "x", 0.0) == []
    assert one.on_sent(ANN, 0, 0.0) == []
    assert one.on_leave(ANN, 0.0) == []
    one.on_arrived(ANN, 0, 0.0)
    assert one.want == ChunkSet.full(8)


def test_an_empty_blob_is_complete_and_wants_nothing() -> None:
    one = swarm(0)
    assert one.is_complete
    join(one, ANN)
    assert one.next_timer(1.0) == INFINITY


def test_who_only_gives_is_sent_nothing_and_taken_from() -> None:
    one = swarm(have=ChunkSet.of([0]))
    one.claims.own(0, truth(0))
    one.take_only(ANN, True)
    assert only(one.on_interest(ANN, ChunkSet.of([1]), ChunkSet.of([0]), 3, 0.0), act.Offer) == []
    assert only(one.on_want(ANN, ChunkSet.of([0]), ChunkSet(), 3, ChunkSet(), 0.1), act.Offer) == []
    one.claims.settle(1, truth(1))
    assert only(one.on_offer(ANN, 1, None, 0.2), act.Request) == [act.Request(ANN, 1, truth(1))]
    one.take_only(ANN, False)
    offers = only(one.on_want(ANN, ChunkSet.of([0]), ChunkSet(), 3, ChunkSet(), 0.3), act.Offer)
    assert [offer.index for offer in offers] == [0]


def arrive(one: Swarm, node: NodeId, index: int) -> None:
    one.claims.settle(index, truth(index))
    one.on_offer(node, index, None, 0.1)
    one.on_arrived(node, index, 0.1)
    one.on_verified(index, truth(index), node, 0.2)


def test_what_came_from_another_zone_is_not_sent_back_there() -> None:
    one = swarm(8)
    one.on_interest(ANN, ChunkSet.of([0]), NONE, 0, 0.0, "site")
    arrive(one, ANN, 0)
    assert only(one.on_interest(BOB, NONE, ChunkSet.of([0]), 3, 0.3, "site"), act.Offer) == []
    assert only(one.on_interest(CAT, NONE, ChunkSet.of([0]), 3, 0.3, "city"), act.Offer)


def test_what_came_from_our_own_zone_is_sent_on_within_it() -> None:
    one = swarm(8)
    one.on_interest(ANN, ChunkSet.of([0]), NONE, 0, 0.0)
    arrive(one, ANN, 0)
    assert only(one.on_interest(BOB, NONE, ChunkSet.of([0]), 3, 0.3), act.Offer)


def test_a_chunk_that_was_wrong_is_sent_to_the_zone_that_it_came_from_once_it_is_right() -> None:
    one = swarm(1)
    one.on_interest(ANN, ChunkSet.of([0]), NONE, 0, 0.0, "site")
    arrive(one, ANN, 0)
    one.on_mismatch(0.3)
    one.on_reading(ChunkSet.of([0]), 0.4)
    one.on_verified(0, truth(0), None, 0.5)
    assert only(one.on_interest(BOB, NONE, ChunkSet.of([0]), 3, 0.6, "site"), act.Offer)
