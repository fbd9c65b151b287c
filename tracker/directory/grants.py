"""`LeaseGrants`: who is given which lease when it calls.

In this order: the check of a disputed chunk; the lowest run that nobody holds or reads; what its reader does not pass
on; a race, for who starves.
How long a run is, whose turn it is, how many run at a time and what may be raced are policies in files of their own.
"""

import random

from tracker.directory import passing_on
from tracker.directory.budget import Budget
from tracker.directory.claims import Dispute
from tracker.directory.events import Journal
from tracker.directory.lease import LeaseKind, LeaseRecord
from tracker.directory.lease_run import first_leases, run_chunks
from tracker.directory.lease_turn import must_wait
from tracker.directory.leases import LeaseBook
from tracker.directory.member import Member
from tracker.directory.race import raceable_bits
from tracker.directory.readers import may_read
from tracker.directory.settling import is_settling
from tracker.directory.swarm import Swarm

_LEASE_ID_BITS = 62  # by chance, so that those of a former tracker are not met again
_ALONE_AFTER_SECONDS = 1.0  # a dispute that no third node took up for so long is settled by who is there


class LeaseGrants:
    def __init__(self, book: LeaseBook, budget: Budget, journal: Journal, rng: random.Random) -> None:
        self._book = book
        self._budget = budget
        self._counters = journal.counters
        self._rng = rng

    def grant(
        self, swarm: Swarm, member: Member, interval_seconds: float, now: float
    ) -> tuple[LeaseRecord, ...]:
        """What `member`, who calls now, is given. `interval_seconds`: how often nodes in need call."""
        if member.refused or member.leases_wanted == 0 or not swarm.border.may_read(member):
            swarm.set_waiting(member, False)
            return ()
        given: list[LeaseRecord] = []
        paused = self._budget.pause_seconds(member.source, now) > 0
        most = first_leases(member.granted, member.leases_wanted)
        while not paused and len(member.leases) < most:
            lease = self._next(swarm, member, interval_seconds, now)
            if lease is None:
                break
            given.append(lease)
        more = len(member.leases) < member.leases_wanted and not member.complete
        swarm.set_waiting(member, more and (swarm.chunks is None or swarm.free(now) != 0))
        return tuple(given)

    def _next(self, swarm: Swarm, member: Member, interval_seconds: float, now: float) -> LeaseRecord | None:
        check = self._check(swarm, member, now) if swarm.claims.disputes else None
        if check is not None or member.complete:
            return check
        if swarm.chunks is None:
            return None if is_settling(swarm, now) else self._everything(swarm, member, now)
        run = None if is_settling(swarm, now) else self._run(swarm, member, interval_seconds, now)
        return run or self._race(swarm, member, now)

    def _run(self, swarm: Swarm, member: Member, interval_seconds: float, now: float) -> LeaseRecord | None:
        free = swarm.free(now) or self._kept_back(swarm, member, interval_seconds, now)
        if not free or not self._budget.has_room(swarm.digest, member.source, now):
            return None
        if not may_read(swarm, member, now) or self._is_passed_over(swarm, member, interval_seconds, now):
            return None
        start = lowest(free)
        if not swarm.has_ranges:
            # One holder, one stream: whatever is asked for, the registry sends the blob from its first byte.
            return (
                None
                if swarm.leases
                else self._start(swarm, member, LeaseKind.NORMAL, start, swarm.count, now)
            )
        longest = self._longest(swarm, member, now)
        return self._start(swarm, member, LeaseKind.NORMAL, start, run_end(free, start, longest), now)

    def _longest(self, swarm: Swarm, member: Member, now: float) -> int:
        """Chunks in one lease."""
        assert swarm.chunks is not None
        stretch = self._budget.stretch(member.source, now)
        return run_chunks(swarm.chunks, len(swarm.incomplete), member.granted, stretch)

    def _kept_back(self, swarm: Swarm, member: Member, interval_seconds: float, now: float) -> int:
        """Once the rest has been read: what its readers do not pass on."""
        patience = passing_on.patience_seconds(swarm.chunk_seconds, interval_seconds)
        return swarm.passing.kept(now, patience) & ~(member.have | swarm.leased | swarm.raced)

    def _is_passed_over(self, swarm: Swarm, member: Member, interval_seconds: float, now: float) -> bool:
        others_wait = sum(swarm.waiting.values()) - member.waiting > 0
        if member.stalled_until > now and others_wait:
            return True
        patience = passing_on.patience_seconds(swarm.chunk_seconds, interval_seconds)
        keeps = others_wait and swarm.passing.keeps(member, now, patience)
        behind = swarm.waiting_behind(member.granted)
        if not keeps and not must_wait(len(member.leases), behind, interval_seconds):
            return False
        if swarm.passed_over_since is None:
            swarm.passed_over_since = now
        # Those who should have called by now may be dead: then whoever is here reads on.
        return now - swarm.passed_over_since <= 2 * interval_seconds

    def _everything(self, swarm: Swarm, member: Member, now: float) -> LeaseRecord | None:
        """The size is not known: one node reads it all; a second one where the first is stuck and this one starves."""
        if not self._budget.registry_has_room(member.source, now):
            return None
        if not swarm.leases and not (swarm.complete and member.starving_since is None):
            return self._start(swarm, member, LeaseKind.NORMAL, 0, 0, now)
        others_stuck = all(
            lease.kind is LeaseKind.NORMAL and lease.is_stuck(now) and lease.member is not member
            for lease in swarm.leases.values()
        )
        if member.starving_since is None or not others_stuck:
            return None
        return self._start(swarm, member, LeaseKind.RACE, 0, 0, now)

    def _race(self, swarm: Swarm, member: Member, now: float) -> LeaseRecord | None:
        if member.starving_since is None or not self._budget.registry_has_room(member.source, now):
            return None
        races = sum(lease.kind is LeaseKind.RACE for lease in swarm.leases.values())
        if races >= int(self._budget.blob(swarm.digest).limit):
            return None
        bits = raceable_bits(swarm, member, now)
        if not bits:
            return None
        start = lowest(bits)
        longest = self._longest(swarm, member, now)
        return self._start(swarm, member, LeaseKind.RACE, start, run_end(bits, start, longest), now)

    def _check(self, swarm: Swarm, member: Member, now: float) -> LeaseRecord | None:
        if not member.source:
            return None
        for dispute in swarm.claims.disputes.values():
            if dispute.lease is None and _may_arbitrate(swarm, member, dispute, now):
                lease = self._start(swarm, member, LeaseKind.CHECK, dispute.index, dispute.index + 1, now)
                dispute.lease = lease.lease
                dispute.arbiters.append(member.node)
                return lease
        return None

    def _start(
        self, swarm: Swarm, member: Member, kind: LeaseKind, start: int, stop: int, now: float
    ) -> LeaseRecord:
        lease = LeaseRecord(
            lease=self._rng.getrandbits(_LEASE_ID_BITS),
            swarm=swarm,
            member=member,
            source=member.source,
            kind=kind,
            start=start,
            stop=stop,
            next=start,
            granted_at=now,
            progressed_at=now,
        )
        self._book.start(lease)
        swarm.passed_over_since = None
        self._counters.leases_granted += 1
        self._counters.chunks_leased += stop - start
        self._counters.races += kind is LeaseKind.RACE
        self._counters.checks += kind is LeaseKind.CHECK
        return lease


def _may_arbitrate(swarm: Swarm, member: Member, dispute: Dispute, now: float) -> bool:
    """A third node; one of the disputants where there is none or none takes it up."""
    if not dispute.has_voice(member.node):
        return member.node not in dispute.arbiters
    return len(swarm.members) <= dispute.voice_count or now - dispute.opened_at > _ALONE_AFTER_SECONDS


def is_alone(swarm: Swarm, dispute: Dispute, arbiter: Member, now: float) -> bool:
    """Whether nobody is left who could still confirm or contradict the arbiter."""
    asked = dispute.voice_count + (not dispute.has_voice(arbiter.node))
    return len(swarm.members) <= asked or now - dispute.opened_at > 2 * _ALONE_AFTER_SECONDS


def lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def run_end(bits: int, start: int, longest: int) -> int:
    """One past the run of set bits from `start`, of at most `longest`."""
    window = (bits >> start) & ((1 << longest) - 1)
    return start + lowest(~window)
