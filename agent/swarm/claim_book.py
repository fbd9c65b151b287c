"""`ClaimBook`: what is known of the BLAKE3-256 of each chunk of one blob, and on whose word.

In the order of their weight: the tracker's map (it settles conflicts at the registry), our own reading of the registry
or our own whole verified blob, a voucher's signed word. Bytes whose digest nobody has vouched for are not passed on:
a chunk can be offered only with a vouch, or to a neighbour that has the tracker's map.
"""

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
        self._vouches: dict[int, Vouch] = {}
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
        self._own[index] = chunk

    def distrust(self, node: NodeId) -> None:
        self._distrusted.add(node)
        self._vouches = {index: vouch for index, vouch in self._vouches.items() if vouch.node != node}

    def is_distrusted(self, node: NodeId) -> bool:
        return node in self._distrusted

    def accept(self, index: int, vouch: Vouch | None) -> bytes | None:
        """The digest to hold an offered chunk to; None where nothing that we trust says one, or it is contradicted."""
        settled = self._settled.get(index)
        if vouch is None:
            return settled
        if settled is not None:
            return settled if vouch.chunk == settled else None
        if vouch.node in self._distrusted:
            return None
        if vouch != self._vouches.get(index) and not self._notary.is_valid(
            vouch, self._blob, self._size, index
        ):
            return None
        self._vouches[index] = vouch
        return vouch.chunk

    def contradicts(self, index: int, vouch: Vouch) -> bool:
        """Is this vouch genuine, and yet against the tracker's map? Then its voucher lied."""
        settled = self._settled.get(index)
        genuine = self._notary.is_valid(vouch, self._blob, self._size, index)
        return settled is not None and settled != vouch.chunk and genuine

    def vouch_for(self, index: int) -> Vouch | None:
        """The vouch to pass a chunk on with: our own where we may give it, else the one that it came with."""
        vouch = self._vouches.get(index)
        if vouch is None and index in self._own:
            vouch = self._notary.vouch(self._blob, self._size, index, self._own[index])
            self._vouches[index] = vouch
        return vouch

    def vouchers(self) -> set[NodeId]:
        """Everybody whose word we hold chunks on."""
        return {vouch.node for vouch in self._vouches.values()}

    def settled_against(self, index: int, chunk: bytes) -> bool:
        """Does the tracker's map say something else than `chunk`?"""
        return self._settled.get(index, chunk) != chunk
