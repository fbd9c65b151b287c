"""`ClaimBook`: what is known of the BLAKE3-256 of each chunk of one blob, and on whose word.

In the order of their weight: the tracker's map (it settles conflicts at the registry), our own reading of the registry
or our own whole verified blob, a voucher's signed word. Bytes whose digest nobody has vouched for are not passed on:
a chunk can be offered only with a vouch, or to a neighbour that has the tracker's map.
"""

from collections.abc import Iterable

from agent.content.digest import Digest
from agent.wire.node_id import NodeId
from agent.wire.vouch import Notary, Vouch


class ClaimBook:
    def __init__(self, blob: Digest, size: int, notary: Notary) -> None:
        self._blob = blob
        self._size = size
        self._notary = notary
        self._settled: dict[int, bytes] = {}
        self._own: dict[int, bytes] = {}
        self._own_vouches: dict[int, Vouch] = {}
        self._vouches: dict[int, Vouch] = {}
        self._withdrawn: set[int] = set()
        self._distrusted: set[NodeId] = set()

    def settle(self, index: int, chunk: bytes) -> NodeId | None:
        """The tracker's word. Returns whose vouch it belies, where it does."""
        self._settled[index] = chunk
        vouch = self._vouches.get(index)
        if vouch is None or vouch.chunk == chunk:
            return None
        del self._vouches[index]
        self._distrusted.add(vouch.node)
        return vouch.node

    def own(self, index: int, chunk: bytes) -> None:
        """We read this chunk from the registry ourselves, or hold the whole verified blob."""
        if self._own.get(index) != chunk:
            self._own[index] = chunk
            self._own_vouches.pop(index, None)
        self._vouches.pop(index, None)
        self._withdrawn.discard(index)

    def disown(self, indices: Iterable[int]) -> None:
        """What we read ourselves was wrong: do not vouch for it."""
        for index in indices:
            self._own.pop(index, None)
            self._own_vouches.pop(index, None)

    def distrust(self, node: NodeId) -> list[int]:
        """Take no word of `node`. Returns the chunks that only its word stood for."""
        self._distrusted.add(node)
        mute = [index for index, vouch in self._vouches.items() if vouch.node == node]
        for index in mute:
            del self._vouches[index]
        alone = [index for index in mute if index not in self._settled]
        self._withdrawn.update(alone)
        return alone

    def is_distrusted(self, node: NodeId) -> bool:
        return node in self._distrusted

    def accept(self, index: int, vouch: Vouch | None) -> bytes | None:
        """The digest to hold an offered chunk to; None where nothing that we trust says one, or it is contradicted."""
        settled = self._settled.get(index)
        if vouch is None:
            return settled
        if settled is not None and vouch.chunk != settled:
            return None
        if vouch.node not in self._distrusted and self._is_genuine(index, vouch):
            self._vouches[index] = vouch
            self._withdrawn.discard(index)
            return vouch.chunk
        return settled

    def contradicts(self, index: int, vouch: Vouch) -> bool:
        """Is this vouch genuine, and yet against the tracker's map? Then its voucher lied."""
        settled = self._settled.get(index)
        return settled is not None and settled != vouch.chunk and self._is_genuine(index, vouch)

    def vouch_for(self, index: int) -> Vouch | None:
        """The vouch to pass a chunk on with: our own where we may give it, else the one that it came with."""
        chunk = self._own.get(index)
        if chunk is None:
            return self._vouches.get(index)
        vouch = self._own_vouches.get(index)
        if vouch is None:
            vouch = self._own_vouches[index] = self._notary.vouch(self._blob, self._size, index, chunk)
        return vouch

    def vouchers(self) -> set[NodeId]:
        """Everybody else whose word we hold chunks on."""
        return {vouch.node for vouch in self._vouches.values()}

    def owned(self) -> Iterable[int]:
        """The chunks that we read from the registry ourselves."""
        return self._own.keys()

    def is_belied(self, index: int, chunk: bytes) -> bool:
        """Was what stood for a chunk with this digest taken back since we accepted it?"""
        settled = self._settled.get(index)
        return index in self._withdrawn if settled is None else settled != chunk

    def _is_genuine(self, index: int, vouch: Vouch) -> bool:
        known = vouch == self._vouches.get(index)
        return known or self._notary.is_valid(vouch, self._blob, self._size, index)
