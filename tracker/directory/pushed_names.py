"""`PushedNames`: what the names of the cluster's own images stand for: the last push of each, by an order for all.

Invariants: of two records of one name the greater stamp (time, node) stays, in whatever order they come; the time of a
new one is later than that of the record it replaces and never in the future, so nobody can push for good. A name that
was deleted stays as such, so that a node that was away does not bring it back; a manifest takes its tags with it.
Times are seconds since the epoch.
"""

from dataclasses import replace

from agent.content.pushed import PushedName, page_of
from agent.wire.node_id import NodeId, short
from agent.wire.push_calls import Find, FindAnswer, Names, NamesAnswer, Publish, PublishAnswer
from tracker.directory.events import EventKind, Journal

MAX_NAMES = 1_000_000
_TICK_SECONDS = 1e-6
_AHEAD_SECONDS = 60.0  # how far a node's clock may be ahead of ours
_DELETED_SECONDS = 30 * 24 * 3600.0


class PushedNames:
    def __init__(self, journal: Journal, max_names: int = MAX_NAMES) -> None:
        self._journal = journal
        self._max_names = max_names
        self._repositories: dict[str, dict[str, PushedName]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def on_publish(self, call: Publish, now_unix: float) -> PublishAnswer:
        return PublishAnswer(tuple(self._take(call.node, name, now_unix) for name in call.names))

    def on_find(self, call: Find) -> FindAnswer:
        names = self._repositories.get(call.repository, {})
        return FindAnswer(names.get(call.name))

    def on_names(self, call: Names) -> NamesAnswer:
        if not call.repository:
            page, more = page_of(filter(self._exists, self._repositories), call.last, call.limit)
            return NamesAnswer(tuple(page), (), bool(page), more)
        there = [one for one in self._repositories.get(call.repository, {}).values() if not one.deleted]
        exists = bool(there)
        if call.subject is None:
            page, more = page_of((one.name for one in there if one.is_tag), call.last, call.limit)
            return NamesAnswer(tuple(page), (), exists, more)
        found = {one.name: one for one in there if one.subject == call.subject and not one.is_tag}
        page, more = page_of(found, call.last, call.limit)
        return NamesAnswer((), tuple(found[name] for name in page), exists, more)

    def _exists(self, repository: str) -> bool:
        return any(not one.deleted for one in self._repositories.get(repository, {}).values())

    def _take(self, teller: NodeId, told: PushedName, now_unix: float) -> PushedName:
        names = self._repositories.get(told.repository, {})
        known = names.get(told.name)
        if told.at == 0:
            at = max(now_unix, known.at + _TICK_SECONDS if known else 0.0)
            told = replace(told, at=at, writer=teller)
        elif told.at > now_unix + _AHEAD_SECONDS:
            told = replace(told, at=now_unix)
        told = self._without_manifest(names, told)
        if not told.is_newer_than(known):
            assert known is not None
            if known.stamp != told.stamp and known.digest != told.digest:
                self._note(EventKind.PUSH_OUTDONE, told, known)
            return known
        if known is None and self._count >= self._max_names and not self._make_room(now_unix):
            return told  # whoever told it keeps it; the cluster does not hear of it here
        if known is not None and told.is_tag and (known.digest, known.deleted) != (told.digest, told.deleted):
            self._note(EventKind.TAG_MOVED, known, told)
        self._count += known is None
        names = self._repositories.setdefault(told.repository, names)
        names[told.name] = told
        if told.deleted and not told.is_tag:
            for tag in [one for one in names.values() if one.is_tag and one.digest == told.digest]:
                names[tag.name] = self._without_manifest(names, tag)
        return told

    def _without_manifest(self, names: dict[str, PushedName], told: PushedName) -> PushedName:
        """A tag goes with its manifest, whichever of the two was told first."""
        manifest = names.get(str(told.digest)) if told.is_tag and not told.deleted else None
        if manifest is None or not manifest.deleted or not manifest.is_newer_than(told):
            return told
        return replace(told, deleted=True, at=manifest.at, writer=manifest.writer)

    def _note(self, kind: EventKind, loser: PushedName, winner: PushedName) -> None:
        what = "deleted" if winner.deleted else f"{winner.digest.algorithm}:{winner.digest.short}"
        detail = (
            f"{loser.repository}:{loser.name[:140]} is {what} by node {short(NodeId(winner.writer))}, "
            f"no more {loser.digest.algorithm}:{loser.digest.short} by node {short(NodeId(loser.writer))}"
        )
        self._journal.note(kind, NodeId(winner.writer), winner.digest, detail)

    def _make_room(self, now_unix: float) -> bool:
        """Forget what was deleted so long ago that nobody will bring it back."""
        for repository in list(self._repositories):
            names = self._repositories[repository]
            for name in [
                n for n, one in names.items() if one.deleted and one.at < now_unix - _DELETED_SECONDS
            ]:
                del names[name]
                self._count -= 1
            if not names:
                del self._repositories[repository]
        return self._count < self._max_names
