"""`Tags`: one revalidation of a tag for the whole cluster, and the record of what it brought.

Invariants: at most one node asks the registry for a tag at a time; a record never goes back in time, a 404 included; a
404 takes the record away, so that nothing stale is served over it. Times in here are when the registry was *asked*.
Whoever waited for a revalidation is answered with its outcome, whatever age it asked for. What may be served stale is
the tag policy of the nodes: they are told the `last` record.
"""

import random
from collections import OrderedDict
from dataclasses import dataclass, field

from agent.wire.node_id import NodeId
from agent.wire.tracker_calls import Resolve, ResolveAnswer, Resolved, TagRecord
from tracker.directory.events import Counters

LEASE_SECONDS = 10.0
OUTCOME_SECONDS = 1.0  # how long a 404 or a failure is told to those who waited
_SHORTEST_RETRY_SECONDS = 0.05
_LONGEST_RETRY_SECONDS = 0.2
_MAX_TAGS = 100_000
_MAX_WAITING = 20_000
_WAIT_SECONDS = 2.0  # who has not asked again for so long waits no more

Key = tuple[str, str, str]


@dataclass(slots=True)
class _Tag:
    record: TagRecord | None = None  # its age is not looked at; asked_at counts
    asked_at: float = float("-inf")
    outcome_at: float = float("-inf")
    not_found: bool = False
    failure: str = ""
    lessee: NodeId | None = None
    leased_at: float = 0.0
    waiting: dict[NodeId, "_Wait"] = field(default_factory=dict)

    def forget_who_gave_up(self, now: float) -> None:
        for node in [node for node, wait in self.waiting.items() if wait.is_over(now)]:
            del self.waiting[node]


@dataclass(slots=True)
class _Wait:
    since: float
    asked_last: float

    def is_over(self, now: float) -> bool:
        return now - self.asked_last > _WAIT_SECONDS


class Tags:
    def __init__(self, counters: Counters, rng: random.Random, max_tags: int = _MAX_TAGS) -> None:
        self._counters = counters
        self._rng = rng
        self._max_tags = max_tags
        self._tags: OrderedDict[Key, _Tag] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tags)

    def on_resolve(self, call: Resolve, now: float) -> ResolveAnswer:
        self._counters.resolves += 1
        tag = self._tag((call.registry, call.repository, call.tag))
        wait = tag.waiting.get(call.node)
        heard = wait is not None and not wait.is_over(now) and tag.outcome_at >= wait.since
        fresh_outcome = heard or now - tag.outcome_at <= OUTCOME_SECONDS
        if tag.not_found and fresh_outcome:
            return self._settled(tag, call, ResolveAnswer(not_found=True))
        if tag.record and not tag.failure and (heard or now - tag.asked_at <= call.max_age_seconds):
            return self._settled(tag, call, ResolveAnswer(record=_aged(tag, now)))
        if tag.record and now - tag.asked_at <= call.max_age_seconds:
            return self._settled(tag, call, ResolveAnswer(record=_aged(tag, now)))
        if tag.failure and fresh_outcome:
            return self._settled(tag, call, ResolveAnswer(failure=tag.failure, last=_aged(tag, now)))
        if tag.lessee not in (None, call.node) and now - tag.leased_at < LEASE_SECONDS:
            if wait is not None and not wait.is_over(now):
                wait.asked_last = now
            elif len(tag.waiting) < _MAX_WAITING:
                tag.waiting[call.node] = _Wait(now, now)
            retry = self._rng.uniform(_SHORTEST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS)
            return ResolveAnswer(retry_seconds=retry, last=_aged(tag, now))
        return self._lease(tag, call, now)

    def on_resolved(self, call: Resolved, now: float) -> bool:
        """Whether the outcome is taken: it is not where something newer is known, or another node asks by now."""
        tag = self._tag((call.registry, call.repository, call.tag))
        if tag.lessee not in (None, call.node) and now - tag.leased_at < LEASE_SECONDS:
            return False
        asked_at = now - call.record.age_seconds if call.record else now
        if tag.lessee == call.node:
            tag.lessee = None
        if asked_at < tag.asked_at:
            return False
        if call.record is not None or call.not_found:
            tag.asked_at = asked_at
            tag.record = call.record
        tag.outcome_at = now
        tag.not_found = call.record is None and call.not_found
        failed = call.record is None and not call.not_found
        tag.failure = (call.failure or "the registry could not be asked") if failed else ""
        return True

    def _lease(self, tag: _Tag, call: Resolve, now: float) -> ResolveAnswer:
        self._counters.revalidations += 1
        tag.lessee = call.node
        tag.leased_at = now
        tag.waiting.pop(call.node, None)
        tag.forget_who_gave_up(now)
        return ResolveAnswer(lease=True, last=_aged(tag, now))

    def _settled(self, tag: _Tag, call: Resolve, answer: ResolveAnswer) -> ResolveAnswer:
        tag.waiting.pop(call.node, None)
        return answer

    def _tag(self, key: Key) -> _Tag:
        tag = self._tags.get(key)
        if tag is None:
            tag = self._tags[key] = _Tag()
            if len(self._tags) > self._max_tags:
                self._tags.popitem(last=False)
        else:
            self._tags.move_to_end(key)
        return tag


def _aged(tag: _Tag, now: float) -> TagRecord | None:
    record = tag.record
    if record is None:
        return None
    return TagRecord(record.digest, record.size, record.media_type, max(now - tag.asked_at, 0.0))
