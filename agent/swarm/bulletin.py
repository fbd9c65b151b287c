"""`Bulletin`: what the neighbours were told of this node, and what is news to them.

Invariant: a neighbour never goes on believing that we want less, or have less room, than we do. Three things make its
view differ from what was told: it dropped a want of ours by itself (our "yes" or "no" to its offer), it heard our
INTEREST between two batches, or it gave up on us. So a chunk that is wanted *again*, and room that appears *again*,
are always told, even where the last batch said the same. (Believing that we want more than we do costs one declined
offer.) Changes are told in batches, to all neighbours alike; a batch is about as long as a chunk takes to come
(0.02, 0.04, ..., 0.32 seconds), so that what news costs does not depend on how slow the lines are.
"""

from typing import NamedTuple

from agent.content.chunk_set import ChunkSet
from agent.swarm.actions import Tell

_NEVER = float("-inf")
_MOST_DOUBLINGS = 4


class News(NamedTuple):
    """Chunk sets as bits; `free`: transfers that this node can take."""

    have: int
    want: int
    free: int
    urgent: int


class Bulletin:
    def __init__(self, news: News, batch_seconds: float) -> None:
        self._told = news
        self._seen = news
        self._doubted = 0
        self._room_doubted = False
        self._least_seconds = self._batch_seconds = batch_seconds
        self._told_at = _NEVER

    def doubt(self, bits: int) -> None:
        """Some neighbour may not know that we want these, or that we have room: say both again."""
        self._doubted |= bits
        self._room_doubted = True

    def doubt_room(self) -> None:
        """Some neighbour may think that we have no room."""
        self._room_doubted = True

    def forget(self, bits: int) -> None:
        """We have these no more."""
        self._told = self._told._replace(have=self._told.have & ~bits)

    def observe(self, news: News) -> None:
        """After every event: notice what is wanted again, and room that came back."""
        self._doubted |= news.want & ~self._seen.want
        self._room_doubted |= news.free > self._seen.free
        self._seen = news

    @property
    def due(self) -> float:
        """When the next batch is to be told; infinity where there is no news."""
        return self._open_at() if self._is_news(self._seen) else float("inf")

    def tell(self, now: float) -> Tell | None:
        """The next batch of what was observed, where one is due."""
        news = self._seen
        if now < self.due:
            return None
        told, doubted = self._told, self._doubted
        self._told, self._told_at = news, now
        self._doubted, self._room_doubted = 0, False
        have = news.have & ~told.have
        self._keep_pace(have.bit_count())
        return Tell(
            have=ChunkSet(have),
            add=ChunkSet(news.want & (~told.want | doubted)),
            drop=ChunkSet(told.want & ~news.want & ~news.have),
            free=news.free,
            urgent=ChunkSet(news.urgent),
        )

    def _keep_pace(self, gained: int) -> None:
        """By what came since the last batch: about one chunk is right."""
        if gained == 0:
            longest = self._least_seconds * (1 << _MOST_DOUBLINGS)
            self._batch_seconds = min(self._batch_seconds * 2, longest)
        elif gained > 1:
            self._batch_seconds = max(self._batch_seconds / 2, self._least_seconds)

    def _open_at(self) -> float:
        """All swarms of a node tell at the same moments (their batches are doublings of one time), so that a
        neighbour in several of them gets one packet and wakes up once."""
        if self._told_at == _NEVER:
            return _NEVER
        seconds = self._batch_seconds
        next_at = (self._told_at // seconds + 1) * seconds
        return next_at if next_at - self._told_at > seconds / 2 else next_at + seconds

    def _is_news(self, news: News) -> bool:
        return (
            news != self._told
            or bool(news.want & self._doubted)
            or (self._room_doubted and news.free > 0 and news.want != 0)
        )
