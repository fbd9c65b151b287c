"""Hypothesis strategies: every message of the peer link, every tracker call, within the limits of their shapes."""

from typing import Any, get_args

from hypothesis import strategies as st

from agent.content.digest import Digest
from agent.wire import peer_messages as peer
from agent.wire import tracker_calls as calls
from agent.wire.node_id import NodeId
from agent.wire.vouch import Vouch

_HEX = "0123456789abcdef"
node_ids = st.binary(min_size=32, max_size=32).map(NodeId)
digests = st.one_of(
    st.text(_HEX, min_size=64, max_size=64).map(lambda text: Digest("sha256", text)),
    st.text(_HEX, min_size=128, max_size=128).map(lambda text: Digest("sha512", text)),
)
words = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=50)
uints = st.integers(0, 1 << 32)
indices = st.integers(0, peer.MAX_CHUNKS)
index_lists = st.lists(indices, max_size=20).map(tuple)
chunk_digests = st.binary(min_size=32, max_size=32)
vouches = st.builds(Vouch, chunk_digests, node_ids, st.binary(min_size=64, max_size=64))
slots = st.integers(0, 1000)
seconds = st.floats(0, 1e9)

messages: st.SearchStrategy[peer.Message] = st.one_of(
    st.builds(peer.Hello, st.integers(0, 1 << 16), words, node_ids, chunk_digests),
    st.builds(peer.Interest, uints, digests, uints, st.binary(max_size=99), st.binary(max_size=99), slots),
    st.builds(peer.Have, uints, index_lists),
    st.builds(peer.Want, uints, index_lists, index_lists, slots, index_lists),
    st.builds(peer.Offer, uints, indices, st.none() | vouches),
    st.builds(peer.Request, uints, indices),
    st.builds(
        peer.Chunk,
        uints,
        indices,
        st.integers(0, peer.MAX_CHUNK_BYTES),
        st.integers(0, peer.MAX_SEGMENT_BYTES),
    ),
    st.builds(peer.Cancel, uints, indices),
    st.builds(peer.Reject, uints, st.none() | indices, words),
    st.builds(peer.Leave, uints),
    st.builds(peer.Peers, uints, st.lists(st.builds(peer.KnownPeer, node_ids, words), max_size=5).map(tuple)),
    st.builds(peer.Ping),
    st.builds(peer.Bye, words),
    st.builds(peer.Proof, st.binary(min_size=64, max_size=64)),
)
ALL_KINDS: tuple[type[Any], ...] = get_args(peer.Message)


def _listed(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


_claims = st.builds(calls.Claim, indices, chunk_digests)
_sizes = st.none() | uints
_bodies = st.none() | st.binary(max_size=100)
_records = st.builds(calls.TagRecord, digests, uints, words, seconds)
_reports = st.builds(
    calls.SwarmReport,
    digest=digests,
    size=_sizes,
    have=_bodies,
    complete=st.booleans(),
    leases_wanted=st.integers(0, 100),
    cursor=uints,
    source=words,
    leases=_listed(st.builds(calls.LeaseReport, uints, indices, indices, indices, uints)),
    claims=_listed(_claims),
    suspicions=_listed(st.builds(calls.Suspicion, node_ids, st.none() | indices, words)),
    refused=st.booleans(),
    throttled_seconds=st.none() | seconds,
    peers_wanted=st.integers(0, 100),
    starving=st.booleans(),
    body=_bodies,
    left=st.booleans(),
    no_ranges=st.booleans(),
)
_answers = st.builds(
    calls.SwarmAnswer,
    digest=digests,
    size=_sizes,
    participants=uints,
    peers=_listed(st.builds(calls.PeerAddress, node_ids, words, st.booleans())),
    leases=_listed(st.builds(calls.Lease, uints, indices, indices, seconds, st.booleans())),
    claims=_listed(_claims),
    cursor=uints,
    pause_seconds=seconds,
    body=_bodies,
    ended_leases=_listed(uints),
)
CALLS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "announce": (
        calls.ANNOUNCE,
        st.builds(
            calls.Announce,
            *[words, node_ids, words, words, words, words],
            full=st.booleans(),
            swarms=_listed(_reports),
            leaving=st.booleans(),
        ),
    ),
    "announce answer": (
        calls.ANNOUNCE_ANSWER,
        st.builds(
            calls.AnnounceAnswer,
            seconds,
            st.booleans(),
            uints,
            swarms=_listed(_answers),
            banned=_listed(node_ids),
        ),
    ),
    "resolve": (calls.RESOLVE, st.builds(calls.Resolve, words, node_ids, words, words, words, seconds)),
    "resolve answer": (
        calls.RESOLVE_ANSWER,
        st.builds(
            calls.ResolveAnswer,
            st.none() | _records,
            st.booleans(),
            seconds,
            st.none() | _records,
            words,
            st.booleans(),
        ),
    ),
    "resolved": (
        calls.RESOLVED,
        st.builds(
            calls.Resolved, words, node_ids, words, words, words, st.none() | _records, st.booleans(), words
        ),
    ),
}


# What msgpack can say, of any shape.
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=70),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=20,
)
