"""`Room`: who may add how much, and what goes for it: performs what eviction.py decides.

Invariant, under the space lock that all processes share: what is admitted fits the limits together with everything
admitted before. Without limits nothing is counted or evicted, and a full disk says so itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.content.digest import Digest
from agent.content.errors import DiskError
from agent.content.reference import BUILD_CACHE, CLUSTER_REGISTRY
from agent.store.blob_index import BlobIndex
from agent.store.blobs import Blobs
from agent.store.disk_errors import disk_errors, free_bytes
from agent.store.eviction import Candidate, choose_victims, evictable_bytes, shortfall_bytes
from agent.store.file_lock import ProcessLock
from agent.store.index import ImageIndex
from agent.store.layout import Layout
from agent.store.owner import Owner
from agent.store.partial_files import Claim, PartialFile, PartialFiles
from agent.store.pins import Pins
from agent.store.uploads import stored_bytes
from agent.store.usage import StoreLimits, Usage

_PUSHED_SECONDS = 3600.0
_ABANDONED_SECONDS = 14 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class RoomParts:
    """What Room works with."""

    layout: Layout
    records: BlobIndex
    images: ImageIndex
    pins: Pins
    blobs: Blobs
    owner: Owner
    going_on: Callable[[], set[Digest]]  # to a registry


class Room:
    def __init__(self, parts: RoomParts, limits: StoreLimits, now: Callable[[], float] = time.time) -> None:
        self._parts = parts
        self._limits = limits
        self._now = now
        self._partials = PartialFiles(parts.layout.partial)
        self._lock = ProcessLock(parts.layout.space_lock)

    def close(self) -> None:
        self._lock.close()

    def usage(self) -> Usage:
        with self._lock.held(), disk_errors("measure the store", self._parts.layout.root):
            return self._usage(self._partials.scan())

    def claim_partial(self, digest: Digest, size: int) -> Claim:
        """A partial for `size` bytes in all, room for which is admitted. Raises DiskError."""
        doing = f"begin a download of {size} bytes"
        with self._lock.held(), disk_errors(doing, self._parts.layout.root):
            claim = self._partials.claim(digest)
            try:
                self._admit(size - min(claim.allocated_bytes(), size), except_stem=claim.stem)
                claim.reserve(size)
            except BaseException:
                if claim.allocated_bytes() == 0:
                    claim.unlink()
                claim.release()
                raise
            return claim

    def partial_size(self, digest: Digest) -> int | None:
        """Of the blob that a partial is made for; None where there is no partial."""
        with disk_errors(f"look for a partial blob {digest.short}", self._parts.layout.root):
            return self._partials.size_of(digest)

    def admit(self, wanted_bytes: int) -> None:
        """Make room for so many bytes that are written right away. Raises DiskError where there cannot be."""
        if self._limits.are_set:
            with self._lock.held(), disk_errors("make room", self._parts.layout.root):
                self._admit(wanted_bytes)

    def make_room(self, wanted_bytes: int) -> int:
        """Evict until the limits hold with `wanted_bytes` more, or nothing more may go. Bytes freed."""
        if not self._limits.are_set:
            return 0
        with self._lock.held(), disk_errors("make room", self._parts.layout.root):
            partials = self._partials.scan()
            needed = shortfall_bytes(self._usage(partials), wanted_bytes, self._limits)
            return self._evict(self._candidates(partials), needed) if needed else 0

    def held(self) -> set[Digest]:
        """What stays, and keeps what it needs: for tags that count, pins, pushes on their way to a registry, running
        pulls and builds."""
        return self._roots()

    def sweep_partials(self) -> None:
        """At the start: remove what was left half made, has become a blob, or was given up two weeks ago."""
        oldest = self._now() - _ABANDONED_SECONDS

        def is_useless(partial: PartialFile) -> bool:
            return partial.used_at < oldest or self._parts.blobs.size_of(partial.digest) is not None

        with self._lock.held(), disk_errors("clear up", self._parts.layout.partial):
            self._partials.sweep(is_useless)

    def _admit(self, wanted_bytes: int, except_stem: str = "") -> None:
        if not self._limits.are_set or not wanted_bytes:
            return
        if not self._needed(self._others(except_stem, as_owned=True), wanted_bytes):
            return  # there is room even if all of them are being filled
        partials = self._others(except_stem)
        usage, needed = self._usage(partials), self._needed(partials, wanted_bytes)
        if not needed:
            return
        candidates = self._candidates(partials)
        evictable = evictable_bytes(candidates)
        if evictable < needed:
            raise DiskError(self._refusal(usage, wanted_bytes, evictable))
        freed = self._evict(candidates, needed)
        if freed < needed:  # a pull began to hold some of it meanwhile
            raise DiskError(self._refusal(usage, wanted_bytes, freed))

    def _others(self, stem: str, *, as_owned: bool = False) -> list[PartialFile]:
        return [one for one in self._partials.scan(as_owned=as_owned) if one.stem != stem]

    def _needed(self, partials: list[PartialFile], wanted_bytes: int) -> int:
        return shortfall_bytes(self._usage(partials), wanted_bytes, self._limits)

    def _usage(self, partials: list[PartialFile]) -> Usage:
        blobs, blob_bytes = self._parts.records.total()
        return Usage(
            blob_bytes=blob_bytes,
            partial_bytes=sum(partial.allocated_bytes for partial in partials)
            + stored_bytes(self._parts.layout.uploads),
            promised_bytes=sum(one.size - one.allocated_bytes for one in partials if one.owned),
            blobs=blobs,
            partials=len(partials),
            free_bytes=free_bytes(self._parts.layout.root),
            quota_bytes=self._limits.quota_bytes,
        )

    def _candidates(self, partials: list[PartialFile]) -> list[Candidate]:
        sizes, uses = self._parts.records.sizes(), self._parts.records.last_uses()
        held = self._parts.images.graph(sizes).closure(self._roots())
        blobs = [Candidate(one, size, uses.get(one, 0.0)) for one, size in sizes.items() if one not in held]
        return blobs + [
            Candidate(one.digest, one.allocated_bytes, one.used_at, one.stem)
            for one in partials
            if not one.owned and one.allocated_bytes
        ]

    def _roots(self) -> set[Digest]:
        hold_seconds = self._limits.tags_hold_seconds
        oldest = float("-inf") if hold_seconds is None else self._now() - hold_seconds
        roots = {
            tag.descriptor.digest
            for tag in self._parts.images.tags()
            if tag.checked_at >= oldest and tag.repository != BUILD_CACHE
        }
        roots |= self._parts.pins.strong(self._now())
        roots |= self._parts.going_on()
        # A blob that was just pushed waits for the manifest that will hold it.
        roots |= self._parts.images.linked_since(CLUSTER_REGISTRY, self._now() - _PUSHED_SECONDS)
        for token, digests in self._parts.records.held().items():
            if token == self._parts.owner.token or self._parts.owner.is_alive(token):
                roots |= digests
        return roots | self._weakly_pinned(roots)

    def _weakly_pinned(self, roots: set[Digest]) -> set[Digest]:
        """Of manifests that nothing names those that count: without a subject that was ever here, or with one that is
        held."""
        waiting, counting = dict(self._parts.pins.weak()), set[Digest]()
        if not waiting:
            return counting
        graph = self._parts.images.graph({})
        held = graph.closure(roots)
        while True:
            fresh = {
                digest
                for digest, subject in waiting.items()
                if subject is None or subject in held or subject not in graph.children
            }
            if not fresh:
                return counting
            counting |= fresh
            held |= graph.closure(fresh)
            waiting = {digest: subject for digest, subject in waiting.items() if digest not in fresh}

    def _evict(self, candidates: list[Candidate], needed_bytes: int) -> int:
        victims = choose_victims(candidates, needed_bytes)
        freed = 0
        with self._parts.blobs.lock.held():
            # A pull may have begun to hold some of them since; holding takes the same lock.
            held = self._parts.images.graph({}).closure(self._roots())
            blobs = [
                victim for victim in victims if victim.partial_stem is None and victim.digest not in held
            ]
            self._parts.blobs.remove(victim.digest for victim in blobs)
            freed = sum(victim.size for victim in blobs)
        for victim in victims:
            if victim.partial_stem is not None and self._partials.remove(victim.partial_stem):
                freed += victim.size
        return freed

    def _refusal(self, usage: Usage, wanted_bytes: int, evictable: int) -> str:
        taken = usage.blob_bytes + usage.partial_bytes
        text = f"no room for {wanted_bytes} bytes in {self._parts.layout.root}: {taken} bytes are stored"
        if usage.promised_bytes:
            text += f", {usage.promised_bytes} more are on their way"
        if usage.quota_bytes is not None:
            text += f", the quota is {usage.quota_bytes}"
        if self._limits.floor_free_bytes:
            text += f", {usage.free_bytes} are free of which {self._limits.floor_free_bytes} must stay so"
        return (
            f"{text}; only {evictable} may be evicted, the rest is held by tags, pins or running pulls: "
            "remove images that are no longer needed, or raise the limit"
        )
