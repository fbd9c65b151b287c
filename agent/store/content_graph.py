"""`ContentGraph`: which content needs which, and what of it is here. PURE.

Serves three questions: what a root (a tag, a pin, a running pull) holds, how large an image is here, and whether it is
here completely, so that the layout's index.json may name it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agent.content import media_types
from agent.content.digest import Digest


@dataclass(frozen=True, slots=True)
class Child:
    digest: Digest
    media_type: str
    size: int
    platform: str | None = None


@dataclass(frozen=True, slots=True)
class ContentGraph:
    """present: sizes of complete blobs. children: for each document that was read, what it names (maybe nothing)."""

    present: Mapping[Digest, int] = field(default_factory=dict)
    children: Mapping[Digest, tuple[Child, ...]] = field(default_factory=dict)

    def closure(self, roots: Iterable[Digest]) -> set[Digest]:
        """The roots and everything beneath them, as far as known."""
        reached: set[Digest] = set()
        waiting = list(roots)
        while waiting:
            digest = waiting.pop()
            if digest not in reached:
                reached.add(digest)
                waiting.extend(child.digest for child in self.children.get(digest, ()))
        return reached

    def size_here(self, root: Digest) -> int:
        """Bytes of the document and of what is here of what it needs, each counted once."""
        return sum(self.present.get(digest, 0) for digest in self.closure([root]))

    def is_complete(self, digest: Digest, media_type: str) -> bool:
        """All of it is here, and every document in it was read: else nobody could tell what it needs."""
        seen: set[Digest] = set()
        waiting = [(digest, media_type)]
        while waiting:
            current, kind = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            if current not in self.present or (
                kind in media_types.DOCUMENTS and current not in self.children
            ):
                return False
            waiting.extend((child.digest, child.media_type) for child in self.children.get(current, ()))
        return True

    def complete_parts(self, root: Child) -> list[Child]:
        """`root` itself where it is complete; else, of an index, those of its manifests that are."""
        if self.is_complete(root.digest, root.media_type):
            return [root]
        if root.media_type not in media_types.INDEXES:
            return []
        return [
            child
            for child in self.children.get(root.digest, ())
            if child.media_type in media_types.DOCUMENTS and self.is_complete(child.digest, child.media_type)
        ]
