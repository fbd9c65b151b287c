"""`Directory`: which nodes there are, which swarms they are in, and the answer to an announce.

Invariants: state is soft. A node that has not been heard of for some of its own intervals is gone, and with it its
chunks and leases; one that the directory does not know is asked to tell everything, and until then counts for
nothing. A banned node counts for nothing either.
What a report of one swarm does is in reports.py; here are nodes, their comings and goings, and the clock.
"""

import heapq
import random
from collections.abc import Callable

from agent.content.chunk_map import ChunkMap
from agent.content.digest import Digest
from agent.wire.node_id import NodeId
from agent.wire.tracker_calls import MAX_INLINE_BYTES, Announce, AnnounceAnswer, SwarmAnswer, SwarmReport
from tracker.directory import interval
from tracker.directory.address_policy import AddressPolicy
from tracker.directory.bans import Bans
from tracker.directory.budget import Budget
from tracker.directory.claims import EPOCH_BITS
from tracker.directory.events import EventKind, Journal
from tracker.directory.grants import LeaseGrants
from tracker.directory.inline_bodies import InlineBodies
from tracker.directory.lease import LeaseEnd
from tracker.directory.leases import LeaseBook
from tracker.directory.member import Member, NodeRecord
from tracker.directory.reports import AnswerRoom, Reports, is_mere_word
from tracker.directory.swarm import Swarm

_MISSED_INTERVALS = 3.0
# A busy machine is silent for a moment; its leases end by themselves where they stand still.
_LEAST_SILENCE_SECONDS = 5.0
_MAX_BANNED_TOLD = 1000


class Directory:
    def __init__(
        self,
        journal: Journal,
        rng: random.Random,
        policy: AddressPolicy,
        cut: Callable[[int], ChunkMap] = ChunkMap.of,
    ) -> None:
        self.nodes: dict[NodeId, NodeRecord] = {}
        self.swarms: dict[Digest, Swarm] = {}
        self.bans = Bans()
        self.budget = Budget()
        self.bodies = InlineBodies()
        self.leases = LeaseBook(self.budget, journal)
        self.busy_nodes = 0
        self._journal = journal
        self._rng = rng
        self._policy = policy
        self._cut = cut
        self._timers: list[tuple[float, NodeId]] = []
        grants = LeaseGrants(self.leases, self.budget, journal, rng)
        self._reports = Reports(self.leases, grants, self.budget, self.bodies, journal, rng)

    # --- events -----------------------------------------------------------------------------------

    def on_announce(self, call: Announce, source_host: str, now: float) -> AnnounceAnswer:
        """`source_host`: the IP address that the call came from, "" for a Unix socket. Raises InputError."""
        self._journal.counters.announces += 1
        if self.bans.is_banned(call.node):
            return AnnounceAnswer(interval.rest_seconds(0), False, len(self.nodes), (), (call.node,))
        record = self.nodes.get(call.node)
        if record is None or (record.address, record.source_host) != (call.address, source_host):
            self._policy.check(call.address, source_host)
        if call.leaving:
            # From elsewhere anybody could say so.
            if record is not None and record.source_host == source_host:
                self._forget(record, EventKind.NODE_LEFT)
            return AnnounceAnswer(interval.rest_seconds(len(self.nodes)), False, len(self.nodes))
        if record is None and not call.full:
            return self._answer_stranger(call, now)
        record = self._hear(record, call, source_host, now)
        answers = self._take_reports(record, call, now)
        if self.bans.is_banned(record.node):
            return AnnounceAnswer(interval.rest_seconds(0), False, len(self.nodes), (), (call.node,))
        self._count_busy(record, any(_lacks(record, answer) for answer in answers))
        seconds = self._interval(record, answers)
        self._schedule(record, seconds, now)
        return AnnounceAnswer(seconds, False, len(self.nodes), tuple(answers), self._banned_in(call.swarms))

    def expire(self, now: float) -> None:
        """What time ends: leases without progress, nodes that are silent, bans."""
        self.leases.expire(now)
        while self._timers and self._timers[0][0] <= now:
            due, node = heapq.heappop(self._timers)
            record = self.nodes.get(node)
            if record is None or record.timer_at != due:
                continue
            deadline = self._silent_at(record)
            if deadline <= now:
                self._forget(record, EventKind.NODE_LOST)
            else:
                record.timer_at = deadline
                heapq.heappush(self._timers, (deadline, node))
        for node in self.bans.expire(now):
            self._journal.note(EventKind.BAN_ENDED, node)

    @property
    def next_timer(self) -> float | None:
        timers = (self.leases.next_timer, self._timers[0][0] if self._timers else None, self.bans.next_timer)
        return min((timer for timer in timers if timer is not None), default=None)

    def extend_all(self, now: float) -> None:
        """The tracker itself was held up: nobody could be heard."""
        self.leases.extend_all(now)
        for record in self.nodes.values():
            record.last_seen = now

    # --- one announce -----------------------------------------------------------------------------

    def _take_reports(self, record: NodeRecord, call: Announce, now: float) -> list[SwarmAnswer]:
        if call.full:
            told = {report.digest for report in call.swarms}
            for digest in [digest for digest in record.members if digest not in told]:
                self._leave(record, digest)
        answers = []
        each_seconds = interval.busy_seconds(self.busy_nodes)
        room = AnswerRoom()
        for report in call.swarms:
            if report.left:
                self._leave(record, report.digest)
                continue
            if report.digest not in record.members and is_mere_word(report):
                self._suspect_all(record, report, now)
                continue
            swarm = self._swarm(report.digest)
            member = record.members.get(report.digest) or swarm.join(record)
            liars = self._reports.take(swarm, member, report, now, everything=call.full)
            self._ban_all(liars, swarm.digest, now)
            self._suspect_all(record, report, now)
            if self.bans.is_banned(record.node):
                break
            answers.append(self._reports.answer(swarm, member, report, room, each_seconds, now))
        return answers

    def _answer_stranger(self, call: Announce, now: float) -> AnnounceAnswer:
        """It reports only changes, of we do not know what: it is told what we know, and given nothing to read."""
        self._journal.counters.resyncs += 1
        room = AnswerRoom()
        answers = [
            self._reports.answer_stranger(swarm, call, report, room, now)
            for report in call.swarms
            if not report.left and (swarm := self.swarms.get(report.digest)) is not None
        ]
        seconds = interval.spread(interval.eager_seconds(self.busy_nodes), self._rng)
        return AnnounceAnswer(seconds, True, len(self.nodes), tuple(answers), self._banned_in(call.swarms))

    def _interval(self, record: NodeRecord, answers: list[SwarmAnswer]) -> float:
        if not record.busy:
            seconds = interval.rest_seconds(len(self.nodes))
        elif any(self._may_end_at_once(record, answer) for answer in answers):
            seconds = interval.eager_seconds(self.busy_nodes)
        elif any(_reads(record, answer) for answer in answers):
            seconds = interval.holder_seconds(self.busy_nodes)
        else:
            seconds = interval.busy_seconds(self.busy_nodes)
        return interval.spread(seconds, self._rng)

    def _may_end_at_once(self, record: NodeRecord, answer: SwarmAnswer) -> bool:
        """It waits for content that comes inside an answer, or for the first word of a size."""
        if not _lacks(record, answer) or answer.body is not None:
            return False
        return answer.size is None or answer.size <= MAX_INLINE_BYTES

    def _count_busy(self, record: NodeRecord, busy: bool) -> None:
        self.busy_nodes += busy - record.busy
        record.busy = busy

    def _swarm(self, digest: Digest) -> Swarm:
        swarm = self.swarms.get(digest)
        if swarm is None:
            swarm = self.swarms[digest] = Swarm(digest, self._rng.getrandbits(EPOCH_BITS), self._cut)
        return swarm

    def _banned_in(self, reports: tuple[SwarmReport, ...]) -> tuple[NodeId, ...]:
        banned: set[NodeId] = set()
        for report in reports:
            swarm = self.swarms.get(report.digest)
            if swarm is not None and swarm.banned:
                swarm.banned = {node for node in swarm.banned if self.bans.is_banned(node)}
                banned |= swarm.banned
        return tuple(sorted(banned))[:_MAX_BANNED_TOLD]

    # --- nodes come and go ------------------------------------------------------------------------

    def _hear(self, record: NodeRecord | None, call: Announce, source_host: str, now: float) -> NodeRecord:
        if record is None:
            record = NodeRecord(
                call.node, call.name, call.address, call.zone, call.rack, source_host, now, 0.0
            )
            self.nodes[call.node] = record
            self._journal.note(
                EventKind.NODE_JOINED, call.node, detail=f"{call.name} at {call.address}".lstrip()
            )
            return record
        if (record.zone, record.rack) != (call.zone, call.rack):
            for digest, member in record.members.items():
                self.swarms[digest].move(member, call.zone, call.rack)
            record.zone, record.rack = call.zone, call.rack
        record.name, record.address, record.source_host = call.name, call.address, source_host
        record.last_seen = now
        return record

    def _schedule(self, record: NodeRecord, seconds: float, now: float) -> None:
        record.interval_seconds = seconds
        deadline = self._silent_at(record)
        # A later deadline is found when the earlier timer goes off: one heap entry a node, not one a call.
        if record.timer_at <= now or deadline < record.timer_at:
            record.timer_at = deadline
            heapq.heappush(self._timers, (deadline, record.node))

    def _silent_at(self, record: NodeRecord) -> float:
        return record.last_seen + max(_MISSED_INTERVALS * record.interval_seconds, _LEAST_SILENCE_SECONDS)

    def _forget(self, record: NodeRecord, why: EventKind) -> None:
        self._count_busy(record, False)
        for digest in list(record.members):
            self._leave(record, digest)
        del self.nodes[record.node]
        self._journal.note(why, record.node, detail=f"{record.name} at {record.address}".lstrip())

    def _leave(self, record: NodeRecord, digest: Digest) -> None:
        member: Member | None = record.members.get(digest)
        if member is None:
            return
        swarm = self.swarms[digest]
        self.leases.release(member, LeaseEnd.HOLDER_GONE)
        swarm.leave(member)
        if not swarm.members:
            del self.swarms[digest]
            self.budget.forget_blob(digest)

    # --- liars ------------------------------------------------------------------------------------

    def _suspect_all(self, reporter: NodeRecord, report: SwarmReport, now: float) -> None:
        for suspicion in report.suspicions:
            known = suspicion.node in self.nodes and suspicion.node != reporter.node
            if known and self.bans.suspect(suspicion.node, reporter.node, len(self.nodes), now):
                self._ban(suspicion.node, f"suspected by others: {suspicion.reason}", report.digest, now)

    def _ban_all(self, liars: list[tuple[NodeId, str]], digest: Digest, now: float) -> None:
        for node, reason in liars:
            if not self.bans.is_banned(node):
                self._ban(node, reason, digest, now)

    def _ban(self, node: NodeId, reason: str, digest: Digest, now: float) -> None:
        self._journal.counters.bans += 1
        self._journal.note(EventKind.NODE_BANNED, node, digest, reason)
        self.bans.ban(node, reason, now)
        record = self.nodes.get(node)
        swarms = {self.swarms[digest]} if digest in self.swarms else set()
        if record is not None:
            swarms.update(self.swarms[digest] for digest in record.members)
            self._forget(record, EventKind.NODE_LOST)
        liars: list[tuple[NodeId, str]] = []
        for affected in swarms:
            affected.banned.add(node)
            liars += self._reports.forget_voice(affected, node)
        self._ban_all(liars, digest, now)


def _lacks(record: NodeRecord, answer: SwarmAnswer) -> bool:
    member = record.members.get(answer.digest)
    return member is not None and not member.complete


def _reads(record: NodeRecord, answer: SwarmAnswer) -> bool:
    member = record.members.get(answer.digest)
    return member is not None and bool(member.leases)
