"""`LeaseBook`: every lease that runs, its progress, and its end. Who gets one is decided in grants.py.

Invariants: NORMAL leases of one swarm are disjoint, and so are its RACES; `swarm.leased` and `swarm.raced` are their
unions; every lease that runs is counted in the budget, in `swarm.leases` and in `member.leases`, and ends exactly once.
A lease without progress ends after PROGRESS_SECONDS. One that a former tracker gave is adopted when it is told of,
unless another covers a part of it.
"""

import heapq
from collections import OrderedDict

from agent.wire.tracker_calls import LeaseReport
from tracker.directory.budget import Budget, lease_weight
from tracker.directory.events import EventKind, Journal
from tracker.directory.lease import PROGRESS_SECONDS, LeaseEnd, LeaseKind, LeaseRecord, run_bits
from tracker.directory.member import Member
from tracker.directory.swarm import Swarm

_UNLISTED_MOST = 2  # one report may have been on its way while the lease was
_ENDED_REMEMBERED = 20_000


class LeaseBook:
    def __init__(self, budget: Budget, journal: Journal) -> None:
        self._budget = budget
        self._journal = journal
        self._running: dict[int, LeaseRecord] = {}
        self._timers: list[tuple[float, int]] = []
        self._ended: OrderedDict[int, int] = OrderedDict()  # lease -> the chunk it had come to

    def __len__(self) -> int:
        return len(self._running)

    def is_foreign(self, lease: int) -> bool:
        """Not one of ours, running or ended of late: a former tracker's."""
        return lease not in self._running and lease not in self._ended

    @property
    def next_timer(self) -> float | None:
        return self._timers[0][0] if self._timers else None

    def running(self) -> list[LeaseRecord]:
        return list(self._running.values())

    def start(self, lease: LeaseRecord) -> None:
        swarm, member = lease.swarm, lease.member
        self._running[lease.lease] = swarm.leases[lease.lease] = member.leases[lease.lease] = lease
        self._mark(lease)
        swarm.count_granted(member)
        lease.weight = lease_weight(lease.size_bytes) if lease.stop else 1.0
        is_normal = lease.kind is LeaseKind.NORMAL
        self._budget.on_granted(swarm.digest, lease.source, lease.weight, counts_for_blob=is_normal)
        heapq.heappush(self._timers, (lease.deadline, lease.lease))

    def end(self, lease: LeaseRecord, how: LeaseEnd) -> None:
        swarm = lease.swarm
        del self._running[lease.lease], swarm.leases[lease.lease], lease.member.leases[lease.lease]
        if lease.kind is LeaseKind.NORMAL:
            swarm.leased &= ~lease.bits
        elif lease.kind is LeaseKind.RACE:
            swarm.raced &= ~lease.bits
        else:
            _reopen_disputes(lease)
        is_normal = lease.kind is LeaseKind.NORMAL
        self._budget.on_ended(swarm.digest, lease.source, lease.weight, counts_for_blob=is_normal)
        self._ended[lease.lease] = lease.next
        if len(self._ended) > _ENDED_REMEMBERED:
            self._ended.popitem(last=False)
        self._count_end(lease, how)

    def on_reports(
        self, swarm: Swarm, member: Member, reports: tuple[LeaseReport, ...], now: float, *, everything: bool
    ) -> tuple[int, ...]:
        """What a node says of its leases in a swarm. Those of them that it must stop reading for.

        `everything`: what is not listed is not held; otherwise it is given up when it is not listed twice.
        """
        unknown = []
        for report in reports:
            lease = member.leases.get(report.lease) or self._adopt(swarm, member, report, now)
            if lease is None:
                unknown.append(report.lease)
            else:
                lease.unlisted = -1
                self._progress(lease, report, now)
        for lease in list(member.leases.values()):
            lease.unlisted += 1
            if lease.unlisted >= _UNLISTED_MOST or (everything and lease.unlisted):
                self.end(lease, LeaseEnd.GIVEN_UP)
        return tuple(unknown)

    def on_size(self, swarm: Swarm) -> None:
        """The size is known: a lease of everything now covers all chunks."""
        if swarm.chunks is not None and swarm.chunks.is_coarse:
            self._budget.begin_with_one(swarm.digest)
        for lease in swarm.leases.values():
            if lease.stop == 0:
                lease.stop = swarm.count
                self._mark(lease)

    def release(self, member: Member, how: LeaseEnd) -> None:
        for lease in list(member.leases.values()):
            self.end(lease, how)

    def expire(self, now: float) -> list[LeaseRecord]:
        """Ends what made no progress."""
        expired = []
        while self._timers and self._timers[0][0] <= now:
            lease = self._running.get(heapq.heappop(self._timers)[1])
            if lease is None:
                continue
            if lease.deadline > now:
                heapq.heappush(self._timers, (lease.deadline, lease.lease))
                continue
            lease.member.stalled_until = now + PROGRESS_SECONDS
            self.end(lease, LeaseEnd.EXPIRED)
            expired.append(lease)
        return expired

    def extend_all(self, now: float) -> None:
        """Nobody could report for a while, through no fault of theirs."""
        for lease in self._running.values():
            lease.progressed_at = now

    def _progress(self, lease: LeaseRecord, report: LeaseReport, now: float) -> None:
        reached = min(max(report.next, lease.start), max(lease.stop, lease.start))
        if reached > lease.next or report.progress_bytes > lease.progress_bytes:
            lease.progressed_at = now
            lease.progress_bytes = max(report.progress_bytes, lease.progress_bytes)
        if reached > lease.next:
            member = lease.member
            if not member.complete:
                lease.swarm.set_have(member, member.have | run_bits(lease.next, reached))
                lease.swarm.passing.on_read(member, lease.next, reached, now)
            lease.next = reached
        if 0 < lease.stop <= lease.next and lease.kind is not LeaseKind.CHECK:
            self.end(lease, LeaseEnd.COMPLETED)  # a check ends with the claim

    def _adopt(self, swarm: Swarm, member: Member, report: LeaseReport, now: float) -> LeaseRecord | None:
        done = self._ended.get(report.lease)
        stop = report.stop or swarm.count
        fits = report.start <= report.next <= stop <= swarm.count
        if swarm.chunks is None:
            fits = report.stop == 0 and not swarm.leases
        elif report.start == stop:
            fits = False
        if not fits or report.lease in self._running or (done is not None and report.next <= done):
            return None
        bits = run_bits(report.start, stop)
        if bits & (swarm.leased | swarm.raced) or member.refused:
            return None
        self._ended.pop(report.lease, None)
        lease = LeaseRecord(
            lease=report.lease,
            swarm=swarm,
            member=member,
            source=member.source,
            kind=LeaseKind.NORMAL,
            start=report.start,
            stop=stop,
            next=report.start,
            granted_at=now,
            progressed_at=now,
        )
        self.start(lease)
        self._journal.counters.leases_adopted += 1
        return lease

    def _mark(self, lease: LeaseRecord) -> None:
        if lease.kind is LeaseKind.NORMAL:
            lease.swarm.leased |= lease.bits
        elif lease.kind is LeaseKind.RACE:
            lease.swarm.raced |= lease.bits

    def _count_end(self, lease: LeaseRecord, how: LeaseEnd) -> None:
        counters, swarm = self._journal.counters, lease.swarm
        if how is LeaseEnd.COMPLETED:
            counters.leases_completed += 1
            # Some come to nothing, because their holder gets all of it from elsewhere: they say nothing of a speed.
            if lease.kind is LeaseKind.NORMAL and 0 < lease.stop <= lease.next:
                self._note_speed(lease)
        elif how is LeaseEnd.EXPIRED:
            counters.leases_expired += 1
            where = (
                f"chunks {lease.start} to {lease.stop - 1}, came to {lease.next}"
                if lease.stop
                else "all of it"
            )
            self._journal.note(EventKind.LEASE_EXPIRED, lease.member.node, swarm.digest, where)
        elif how is LeaseEnd.GIVEN_UP:
            counters.leases_given_up += 1

    def _note_speed(self, lease: LeaseRecord) -> None:
        swarm, seconds = lease.swarm, lease.progressed_at - lease.granted_at
        swarm.chunk_seconds = seconds / max(lease.stop - lease.start, 1)
        if swarm.waiting:
            self._budget.on_completed_while_others_wait(
                swarm.digest, lease.source, lease.size_bytes, seconds, lease.progressed_at
            )


def _reopen_disputes(check: LeaseRecord) -> None:
    for dispute in check.swarm.claims.disputes.values():
        if dispute.lease == check.lease:
            dispute.lease = None
