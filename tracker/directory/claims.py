"""`ClaimLog`: what is said of the BLAKE3-256 of each chunk of one blob, by whom, and the disputes about it.

Invariant: the log only grows, so a cursor into it tells exactly what a node has heard; a later entry replaces an
earlier one of the same chunk. Cursors carry the log's epoch, so that one from before a restart of the tracker, or of
another life of the swarm, starts afresh.

A dispute is decided by a majority of voices, at least two, where a third node reads the chunk from the registry; where
nobody else is left to ask, by the word of whoever read it last. Who may arbitrate, and what becomes of the liars, is
decided in grants.py and directory.py.
"""

from dataclasses import dataclass, field

from agent.wire.node_id import NodeId
from agent.wire.tracker_calls import Claim

_POSITION_BITS = 32
EPOCH_BITS = 20  # together within the 53 bits of a cursor on the wire
_MAX_SAYERS = 8
MAX_CLAIMS_PER_ANSWER = 4096


@dataclass(slots=True)
class Dispute:
    """`voices`: who said what. `arbiters`: who has been asked to read it; `lease`: the one who does so now."""

    index: int
    opened_at: float
    voices: dict[bytes, list[NodeId]]
    arbiters: list[NodeId] = field(default_factory=list)
    lease: int | None = None

    def has_voice(self, node: NodeId) -> bool:
        return any(node in sayers for sayers in self.voices.values())

    @property
    def voice_count(self) -> int:
        return sum(len(sayers) for sayers in self.voices.values())


@dataclass(frozen=True, slots=True)
class Settlement:
    index: int
    truth: bytes
    liars: tuple[NodeId, ...]


class ClaimLog:
    __slots__ = ("_epoch", "_known", "_log", "_sayers", "disputes")

    def __init__(self, epoch: int) -> None:
        """`epoch`: a number by chance, of EPOCH_BITS."""
        self._epoch = max(epoch, 1) << _POSITION_BITS
        self._known: dict[int, bytes] = {}
        self._sayers: dict[int, list[NodeId]] = {}
        self._log: list[Claim] = []
        self.disputes: dict[int, Dispute] = {}

    def __len__(self) -> int:
        return len(self._known)

    def is_of_this_log(self, cursor: int) -> bool:
        return cursor >> _POSITION_BITS == self._epoch >> _POSITION_BITS

    def since(self, cursor: int) -> tuple[tuple[Claim, ...], int]:
        """The news after `cursor` (at most MAX_CLAIMS_PER_ANSWER of them) and the cursor after those."""
        position = cursor - self._epoch if self.is_of_this_log(cursor) else 0
        news = tuple(self._log[position : position + MAX_CLAIMS_PER_ANSWER])
        return news, self._epoch + min(position, len(self._log)) + len(news)

    def tell(self, index: int, chunk: bytes, node: NodeId, now: float) -> Dispute | None:
        """Somebody says so. The dispute where this opens one."""
        known = self._known.get(index)
        if known is None:
            self._record(index, chunk, [node])
            return None
        dispute = self.disputes.get(index)
        if dispute is not None:
            if not dispute.has_voice(node):
                _add_voice(dispute.voices.setdefault(chunk, []), node)
            return None
        if known == chunk:
            _add_voice(self._sayers[index], node)
            return None
        dispute = Dispute(index, now, {known: self._sayers[index], chunk: [node]})
        self.disputes[index] = dispute
        return dispute

    def rule(self, index: int, chunk: bytes, arbiter: NodeId, *, final: bool) -> Settlement | None:
        """An arbiter has read the chunk. None where nobody agrees with it and others can be asked (not `final`)."""
        dispute = self.disputes[index]
        for sayers in dispute.voices.values():
            if arbiter in sayers:
                sayers.remove(arbiter)
        _add_voice(dispute.voices.setdefault(chunk, []), arbiter)
        if not final and len(dispute.voices[chunk]) < 2:
            return None
        return self._settle(dispute, chunk)

    def forget_voice(self, node: NodeId) -> list[Settlement]:
        """What a banned node said counts no more; disputes that it alone kept open are settled."""
        for index in [index for index, sayers in self._sayers.items() if node in sayers]:
            self._sayers[index].remove(node)
            if not self._sayers[index] and index not in self.disputes:
                del self._sayers[index], self._known[index]  # whoever reads it next tells it anew
        settled = []
        for dispute in list(self.disputes.values()):
            for chunk, sayers in list(dispute.voices.items()):
                if node in sayers:
                    sayers.remove(node)
                if not sayers:
                    del dispute.voices[chunk]
            if len(dispute.voices) == 1:
                settled.append(self._settle(dispute, next(iter(dispute.voices))))
            elif not dispute.voices:
                self._drop(dispute.index)
        return settled

    def _settle(self, dispute: Dispute, truth: bytes) -> Settlement:
        sayers = dispute.voices.pop(truth)
        liars = tuple(node for others in dispute.voices.values() for node in others)
        del self.disputes[dispute.index]
        if self._known.get(dispute.index) == truth:
            self._sayers[dispute.index] = sayers
        else:
            self._record(dispute.index, truth, sayers)
        return Settlement(dispute.index, truth, liars)

    def _record(self, index: int, chunk: bytes, sayers: list[NodeId]) -> None:
        self._known[index] = chunk
        self._sayers[index] = sayers
        self._log.append(Claim(index, chunk))

    def _drop(self, index: int) -> None:
        del self.disputes[index], self._sayers[index], self._known[index]


def _add_voice(sayers: list[NodeId], node: NodeId) -> None:
    if node not in sayers and len(sayers) < _MAX_SAYERS:
        sayers.append(node)
