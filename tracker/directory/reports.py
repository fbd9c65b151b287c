"""`Reports`: what one node's report about one swarm changes, and the answer to it.

Order matters. What it holds comes before its leases, so that a finished run is never leased again in between; its
claims before its leases end, so that an arbiter's word finds the lease it was given for.
Who is banned for a lie is returned, not done: nodes are the directory's.
"""

import random
from dataclasses import dataclass

from agent.wire.node_id import NodeId
from agent.wire.tracker_calls import (
    Announce,
    Claim,
    Lease,
    PeerAddress,
    SwarmAnswer,
    SwarmReport,
)
from tracker.directory.budget import Budget
from tracker.directory.claims import Settlement
from tracker.directory.events import EventKind, Journal
from tracker.directory.grants import LeaseGrants, is_alone
from tracker.directory.hand_out import pick_peers
from tracker.directory.inline_bodies import InlineBodies
from tracker.directory.lease import PROGRESS_SECONDS, LeaseEnd, LeaseKind, LeaseRecord
from tracker.directory.leases import LeaseBook
from tracker.directory.member import Member
from tracker.directory.settling import YOUNG_SECONDS, on_survivor
from tracker.directory.swarm import Swarm

Liars = list[tuple[NodeId, str]]

_MAX_LEASES_TOLD = 100
_LARGEST_BLOB_BYTES = 1 << 40  # sets of chunks are as long as the blob: nobody may make us build giant ones


@dataclass(slots=True)
class AnswerRoom:
    """What one answer may still carry, all swarms together, well under MAX_CALL_BYTES. The rest comes next time."""

    claims: int = 100_000
    body_bytes: int = 4 * 1024 * 1024


class Reports:
    def __init__(
        self,
        leases: LeaseBook,
        grants: LeaseGrants,
        budget: Budget,
        bodies: InlineBodies,
        journal: Journal,
        rng: random.Random,
    ) -> None:
        self._leases = leases
        self._grants = grants
        self._budget = budget
        self._bodies = bodies
        self._journal = journal
        self._counters = journal.counters
        self._rng = rng
        self._ended: tuple[int, ...] = ()
        self._started_at = float("inf")  # the first report

    # --- taking -----------------------------------------------------------------------------------

    def take(
        self, swarm: Swarm, member: Member, report: SwarmReport, now: float, *, everything: bool
    ) -> Liars:
        """Everything the report says but its suspicions. `everything`: it is no list of changes."""
        self._started_at = min(self._started_at, now)
        if everything:
            member.told = {}  # it may have been started anew, and know of nobody
        self._take_wishes(swarm, member, report, now, everything=everything)
        self._take_size(swarm, report)
        self._take_body(swarm, report)
        liars = self._take_claims(swarm, member, report, now)
        self._ended = self._leases.on_reports(swarm, member, report.leases, now, everything=everything)
        self._take_possession(
            swarm, member, report, everything
        )  # the last word: what was read may be gone again
        if member.complete:
            self._release_reads(member)
        return liars

    def _take_wishes(
        self, swarm: Swarm, member: Member, report: SwarmReport, now: float, *, everything: bool
    ) -> None:
        member.leases_wanted = report.leases_wanted
        member.source = report.source
        member.refused = report.refused
        if not report.starving:
            member.starving_since = None
        elif member.starving_since is None:
            member.starving_since = now
        if report.no_ranges:
            swarm.has_ranges = False
        if self._is_survivor(swarm, report, now, everything=everything):
            on_survivor(swarm, now)
        if report.throttled_seconds is not None and self._budget.on_throttled(
            swarm.digest, report.source, report.throttled_seconds, now
        ):
            detail = f"{report.source} wants {report.throttled_seconds:.0f} s of patience"
            self._journal.note(EventKind.REGISTRY_THROTTLED, member.node, swarm.digest, detail)

    def _is_survivor(self, swarm: Swarm, report: SwarmReport, now: float, *, everything: bool) -> bool:
        """Whether it tells of this swarm as a former tracker knew it."""
        if report.cursor and not swarm.claims.is_of_this_log(report.cursor):
            return True
        if any(self._leases.is_foreign(lease.lease) for lease in report.leases):
            return True
        # A node whose calls failed tells everything at once, without the cursor it had.
        mid_way = bool(report.claims or report.have) and not report.complete
        return everything and mid_way and now - self._started_at < YOUNG_SECONDS

    def _take_size(self, swarm: Swarm, report: SwarmReport) -> None:
        if report.size is None:
            return
        if report.size > _LARGEST_BLOB_BYTES:
            self._counters.unusable_reports += 1
        elif swarm.chunks is None:
            swarm.learn_size(report.size)
            self._leases.on_size(swarm)
        elif report.size != swarm.size:
            self._counters.size_conflicts += 1

    def _take_body(self, swarm: Swarm, report: SwarmReport) -> None:
        if report.body is None:
            return
        if not self._bodies.put(report.digest, report.body):
            self._counters.unusable_reports += 1
        elif swarm.chunks is None:
            swarm.learn_size(len(report.body))
            self._leases.on_size(swarm)

    def _take_possession(self, swarm: Swarm, member: Member, report: SwarmReport, everything: bool) -> None:
        if report.complete and report.size == swarm.size:
            swarm.set_complete(member)
            return
        bits = 0
        if report.have is not None:
            bits = int.from_bytes(report.have, "little")
            if report.size != swarm.size or bits.bit_length() > swarm.count:
                self._counters.unusable_reports += 1
                return
        elif not everything:
            return
        if bits != member.have or member.complete:
            swarm.set_have(member, bits)

    def _take_claims(self, swarm: Swarm, member: Member, report: SwarmReport, now: float) -> Liars:
        liars: Liars = []
        if report.claims and report.size != swarm.size:
            self._counters.unusable_reports += 1
            return liars
        for claim in report.claims:
            if claim.index >= swarm.count:
                self._counters.unusable_reports += 1
                continue
            check = self._check_of(swarm, member, claim.index, report)
            if check is not None:
                liars += self._rule(swarm, member, claim.index, claim.chunk, check, now)
            elif swarm.claims.tell(claim.index, claim.chunk, member.node, now) is not None:
                self._counters.conflicts += 1
                self._journal.note(
                    EventKind.CONFLICT_FOUND, member.node, swarm.digest, f"chunk {claim.index}"
                )
        return liars

    def _check_of(self, swarm: Swarm, member: Member, index: int, report: SwarmReport) -> LeaseRecord | None:
        """The check lease under which `member` has read this chunk just now."""
        dispute = swarm.claims.disputes.get(index)
        check = member.leases.get(dispute.lease) if dispute and dispute.lease is not None else None
        if check is None or dispute is None:
            return None
        has_read = any(lease.lease == check.lease and lease.next > index for lease in report.leases)
        # A disputant may just be repeating what it said before; a third node has nothing to repeat.
        return check if has_read or not dispute.has_voice(member.node) else None

    def _rule(
        self, swarm: Swarm, member: Member, index: int, chunk: bytes, check: LeaseRecord, now: float
    ) -> Liars:
        alone = is_alone(swarm, swarm.claims.disputes[index], member, now)
        settlement = swarm.claims.rule(index, chunk, member.node, final=alone)
        self._leases.end(check, LeaseEnd.COMPLETED)
        return self._liars(swarm, [settlement] if settlement else [])

    def forget_voice(self, swarm: Swarm, node: NodeId) -> Liars:
        """A banned node's claims count no more."""
        settlements = swarm.claims.forget_voice(node)
        for lease in list(swarm.leases.values()):
            if lease.kind is LeaseKind.CHECK and lease.start not in swarm.claims.disputes:
                self._leases.end(lease, LeaseEnd.COMPLETED)
        return self._liars(swarm, settlements)

    def _liars(self, swarm: Swarm, settlements: list[Settlement]) -> Liars:
        liars: Liars = []
        for settlement in settlements:
            self._counters.conflicts_settled += 1
            detail = f"chunk {settlement.index}, {len(settlement.liars)} lied"
            self._journal.note(EventKind.CONFLICT_SETTLED, digest=swarm.digest, detail=detail)
            liars += [(node, f"false claim about chunk {settlement.index}") for node in settlement.liars]
        return liars

    def _release_reads(self, member: Member) -> None:
        for lease in list(member.leases.values()):
            if lease.kind is not LeaseKind.CHECK:
                self._leases.end(lease, LeaseEnd.COMPLETED)

    # --- answering --------------------------------------------------------------------------------

    def answer(
        self,
        swarm: Swarm,
        member: Member,
        report: SwarmReport,
        room: AnswerRoom,
        each_seconds: float,
        now: float,
    ) -> SwarmAnswer:
        """`each_seconds`: how often nodes in need call."""
        swarm.border.review(member, swarm.chunk_seconds, now)
        is_inline = not member.complete and swarm.digest in self._bodies
        granted = () if is_inline else self._grants.grant(swarm, member, each_seconds, now)
        claims, cursor = self._claims(swarm, report, member.complete or is_inline, room)
        return SwarmAnswer(
            digest=swarm.digest,
            size=swarm.size,
            participants=len(swarm.members),
            peers=self._peers(swarm, member.node, member.record.zone, member.record.rack, report),
            leases=tuple(
                Lease(lease.lease, lease.start, lease.stop, PROGRESS_SECONDS, lease.kind is LeaseKind.CHECK)
                for lease in granted
            ),
            claims=claims,
            cursor=cursor,
            pause_seconds=self._budget.pause_seconds(member.source, now),
            body=self._body(swarm, report, room) if is_inline else None,
            ended_leases=self._ended[:_MAX_LEASES_TOLD],
        )

    def answer_stranger(
        self, swarm: Swarm, call: Announce, report: SwarmReport, room: AnswerRoom, now: float
    ) -> SwarmAnswer:
        if self._is_survivor(swarm, report, now, everything=False):
            on_survivor(swarm, now)
        claims, cursor = self._claims(swarm, report, report.complete, room)
        return SwarmAnswer(
            digest=swarm.digest,
            size=swarm.size,
            participants=len(swarm.members),
            peers=self._peers(swarm, call.node, call.zone, call.rack, report),
            claims=claims,
            cursor=cursor,
            pause_seconds=self._budget.pause_seconds(report.source, now),
            body=None if report.complete else self._body(swarm, report, room),
        )

    def _claims(
        self, swarm: Swarm, report: SwarmReport, needs_none: bool, room: AnswerRoom
    ) -> tuple[tuple[Claim, ...], int]:
        if needs_none or room.claims <= 0:
            return (), report.cursor
        claims, cursor = swarm.claims.since(report.cursor)
        room.claims -= len(claims)
        return claims, cursor

    def _body(self, swarm: Swarm, report: SwarmReport, room: AnswerRoom) -> bytes | None:
        if report.body is not None or room.body_bytes <= 0:
            return None
        body = self._bodies.get(swarm.digest)
        room.body_bytes -= len(body or b"")
        return body

    def _peers(
        self, swarm: Swarm, node: NodeId, zone: str, rack: str, report: SwarmReport
    ) -> tuple[PeerAddress, ...]:
        own = swarm.members.get(node)
        border = () if own is None else swarm.border.imports_from(own)
        return tuple(
            PeerAddress(
                peer.record.node,
                peer.record.address,
                peer.complete,
                take_only,
                across=True,
            )
            for peer, take_only in border
        ) + tuple(
            PeerAddress(peer.record.node, peer.record.address, peer.complete)
            for peer in pick_peers(swarm, node, zone, rack, report.peers_wanted, self._rng)
        )


def is_mere_word(report: SwarmReport) -> bool:
    """It tells of others, and neither has nor wants anything of the swarm: whoever sends that is no member by it."""
    wants = report.leases_wanted or report.peers_wanted or report.size is not None
    return bool(report.suspicions) and not (wants or report.have or report.complete or report.leases)
