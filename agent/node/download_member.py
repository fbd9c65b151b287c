"""`DownloadMember`: one download's side of the conversation with the tracker."""

from typing import TYPE_CHECKING

import trio

from agent.content.errors import ContentError, DiskError, ShoalError
from agent.node.session import SwarmSession
from agent.swarm.neighbours import neighbours_sought
from agent.wire.tracker_calls import Claim, SwarmAnswer, SwarmReport

if TYPE_CHECKING:
    from agent.node.download import Download

_LEASES = 2  # one under way, one ready to follow it
_STARVING_SECONDS = 1.0


class DownloadMember:
    def __init__(self, download: "Download") -> None:
        self._download = download
        self._told_have: int | None = None
        self._told_claims = 0
        self._cursor = 0
        self._seen_bytes = 0

    def report(self, full: bool) -> SwarmReport:
        download, reads = self._download, self._download.reads
        if full:  # but the cursor: it tells a restarted tracker that others hold chunks which it does not know of yet
            self._told_have, self._told_claims = None, 0
        self._notice_bytes()
        session = download.session
        have = None if session is None else session.swarm.have
        changed = have is not None and have.bits != self._told_have
        self._told_have = None if have is None else have.bits
        throttled, reads.throttled_seconds = reads.throttled_seconds, None
        may_read = not reads.refused and trio.current_time() >= reads.paused_until
        neighbours = 0 if session is None else len(session.neighbours)
        chunks = None if session is None else session.swarm.chunks
        sought = neighbours_sought(download.services.neighbours, download.participants, chunks)
        return SwarmReport(
            digest=download.digest,
            size=download.size,
            have=have.to_bytes() if changed and have is not None else None,
            leases_wanted=self._leases_wanted(
                may_read and not download.is_stored and download.source.has_registry
            ),
            cursor=self._cursor,
            source=download.source.repository.registry,
            leases=reads.reports(),
            claims=self.unsent_claims(),
            refused=reads.refused,
            throttled_seconds=throttled,
            peers_wanted=sought if neighbours < sought else 0,
            starving=trio.current_time() - download.moved_at > _STARVING_SECONDS,
            no_ranges=reads.no_ranges,
        )

    def _leases_wanted(self, may_read: bool) -> int:
        """None that would only wait in line here while others could read it."""
        if not may_read:
            return 0
        reads = self._download.reads
        return reads.leases_held if self._download.services.in_flight.reads.is_contested else _LEASES

    def _notice_bytes(self) -> None:
        """On a slow line bytes come long before a whole chunk does: that is no standstill."""
        download = self._download
        links = [] if download.session is None else download.session.neighbours.values()
        seen = download.reads.progress_bytes + sum(link.bytes_received for link in links)
        if seen > self._seen_bytes:
            download.moved_at = trio.current_time()
        self._seen_bytes = seen

    def unsent_claims(self) -> tuple[Claim, ...]:
        claims = self._download.reads.claims[self._told_claims :]
        self._told_claims += len(claims)
        return tuple(Claim(index, chunk) for index, chunk in claims)

    def on_answer(self, answer: SwarmAnswer) -> None:
        download, reads = self._download, self._download.reads
        self._cursor = answer.cursor
        download.participants = answer.participants
        if download.known_size is None:
            download.known_size = answer.size
        if answer.pause_seconds:
            reads.paused_until = max(reads.paused_until, trio.current_time() + answer.pause_seconds)
        for lease in answer.ended_leases:
            reads.end(lease)
        if answer.body is None:
            for given in answer.leases:
                reads.start(given)  # at once: what the next report does not list is given up
        has_begun = answer.body is None and download.known_size == download.size
        if has_begun and download.session is not None:
            self._take_word(answer, download.session)
        else:
            download.start_soon(self._begin, answer)

    async def _begin(self, answer: SwarmAnswer) -> None:
        download = self._download
        try:
            if answer.body is not None:
                await download.take_whole(answer.body)
                return
            if download.known_size is not None:
                await download.begin(download.known_size)
        except (DiskError, ContentError) as error:
            download.fail(error)
            return
        except ShoalError as error:
            download.on_read_failed(error)
            return
        if download.session is not None:
            self._take_word(answer, download.session)

    def _take_word(self, answer: SwarmAnswer, session: SwarmSession) -> None:
        """What the tracker says of chunks and of peers."""
        download = self._download
        claims = [(claim.index, claim.chunk) for claim in answer.claims]
        if claims and download.partial is not None:
            digest_of = download.partial.chunk_digest
            session.perform(session.swarm.on_claims(claims, digest_of, trio.current_time()))
        if answer.peers:
            download.services.hub.meet(session, answer.peers)
