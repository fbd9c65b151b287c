"""A vouch stands for one chunk of one blob in one cluster, by one node, and for nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.digest import Digest
from agent.wire.node_id import NodeId, short
from agent.wire.vouch import NodeKey, Vouch

_BLOB = Digest("sha256", "ab" * 32)
_CHUNK = b"c" * 32
ALICE = NodeKey.from_seed(b"a" * 32, "prod")
BOB = NodeKey.from_seed(b"b" * 32, "prod")


def test_anybody_in_the_cluster_can_check_a_vouch() -> None:
    vouch = ALICE.vouch(_BLOB, 1000, 3, _CHUNK)
    assert vouch.node == ALICE.node
    assert BOB.is_valid(vouch, _BLOB, 1000, 3)


@pytest.mark.parametrize(
    ("blob", "size", "index"),
    [(Digest("sha256", "cd" * 32), 1000, 3), (_BLOB, 1001, 3), (_BLOB, 1000, 4)],
)
def test_a_vouch_stands_for_nothing_else(blob: Digest, size: int, index: int) -> None:
    assert not BOB.is_valid(ALICE.vouch(_BLOB, 1000, 3, _CHUNK), blob, size, index)


def test_a_vouch_does_not_hold_in_another_cluster() -> None:
    elsewhere = NodeKey.from_seed(b"b" * 32, "staging")
    assert not elsewhere.is_valid(ALICE.vouch(_BLOB, 1000, 3, _CHUNK), _BLOB, 1000, 3)


def test_nobody_vouches_in_anothers_name() -> None:
    forged = replace(BOB.vouch(_BLOB, 1000, 3, _CHUNK), node=ALICE.node)
    assert not BOB.is_valid(forged, _BLOB, 1000, 3)


def test_a_vouch_for_other_bytes_is_not_valid() -> None:
    forged = replace(ALICE.vouch(_BLOB, 1000, 3, _CHUNK), chunk=b"x" * 32)
    assert not BOB.is_valid(forged, _BLOB, 1000, 3)


@given(st.binary(max_size=40), st.binary(max_size=70))
def test_garbage_is_not_valid_and_raises_nothing(node: bytes, signature: bytes) -> None:
    assert not BOB.is_valid(Vouch(_CHUNK, NodeId(node), signature), _BLOB, 1000, 3)


def test_a_key_is_the_same_from_the_same_seed() -> None:
    assert NodeKey.from_seed(b"a" * 32, "prod").node == ALICE.node != BOB.node
    assert short(ALICE.node) == ALICE.node.hex()[:12]
