"""`ContentReader`: the bytes of one blob or manifest from a registry, in order, from a start on.

It resumes by itself after a cut, a stall or a 5xx: with a Range from where it is, at the registry's own URL (a signed
one may have expired), a few times in a row without progress. Invariants: no byte is given out twice, none past `stop`
or the content's size; a response whose length or Content-Range contradicts what was asked or is known is not used.
Whether the bytes match the digest is the caller's to check.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from agent.content.errors import ContentError, SourceError
from agent.origin.content_range import ContentRange, unsatisfied_total
from agent.origin.response import OpenResponse
from agent.origin.retry import RetryPolicy, Transient

# Less than this between two failures is no progress: a registry must not keep us busy with a byte at a time.
_PROGRESS_BYTES = 256 * 1024

# Asks for the bytes from `start` up to `stop`; raises ShoalErrors and Transient.
AskRange = Callable[[int, int | None], Awaitable[OpenResponse]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The bytes `start` to `stop` (None: to the end) of content named `what`, of `size` bytes where that is known."""

    what: str
    start: int
    stop: int | None
    size: int | None
    cap_bytes: int
    may_be_empty: bool


class ContentReader:
    """`total_size`: of the whole content, as the registry says (checked against `size`), None where it did not.
    `start`: where the bytes really start, 0 where the registry ignores ranges."""

    def __init__(self, ask: AskRange, wanted: Wanted, retries: RetryPolicy, rng: random.Random) -> None:
        self.start = wanted.start
        self.total_size: int | None = None
        self._ask = ask
        self._wanted = wanted
        self._retries = retries
        self._rng = rng
        self._position = wanted.start
        self._skip_bytes = 0
        self._response: OpenResponse | None = None
        self._response_start = wanted.start
        self._opened = False
        self._finished = wanted.stop is not None and wanted.start >= wanted.stop
        self._failures = 0
        self._last_failure_at = wanted.start

    async def open(self) -> None:
        """Wait for the first usable answer. Raises ShoalErrors."""
        while self._response is None and not self._finished:
            try:
                await self._connect()
            except Transient as failure:
                await self._pause(failure)

    async def receive_into(self, buffer: memoryview) -> int:
        """How many of the next bytes are in `buffer`, 0 at the end. Raises Unauthorized, Throttled, NotFound,
        SourceError, ContentError.
        """
        while not self._finished:
            try:
                if self._response is None:
                    await self._connect()
                if await self._at_end():
                    break
                count = await self._next_piece(buffer)
            except Transient as failure:
                await self._pause(failure)
                continue
            if count:
                return count
        self._finished = True
        await self.close()
        return 0

    async def close(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            await response.close()

    @property
    def _end(self) -> int | None:
        """Where to stop, as far as it is known."""
        known = [end for end in (self._wanted.stop, self._wanted.size, self.total_size) if end is not None]
        return min(known, default=None)

    async def _connect(self) -> None:
        response = await self._ask(self._position, self._wanted.stop)
        try:
            self._accept(response)
        except BaseException:
            await response.close()
            raise
        self._opened = True
        self._response = response
        self._response_start = self._position

    def _accept(self, response: OpenResponse) -> None:
        coding = response.headers.get("content-encoding") or "identity"
        if coding.lower() != "identity":
            raise SourceError(
                f"{response.host} sends {self._wanted.what} with a content coding that was not asked for"
            )
        self._skip_bytes = 0
        if response.status == 416:
            self._check_total(unsatisfied_total(response.headers.get("content-range") or ""))
            raise Transient(
                SourceError(f"{response.host} has no bytes of {self._wanted.what} from {self._position} on")
            )
        if response.status == 206:
            self._accept_range(response)
            return
        self._check_total(response.content_length)
        if response.content_length == 0 and not self._wanted.may_be_empty:
            raise Transient(ContentError(f"{response.host} sends an empty body for {self._wanted.what}"))
        if self._opened:
            self._skip_bytes = self._position
        else:
            self.start = self._position = self._last_failure_at = 0

    def _accept_range(self, response: OpenResponse) -> None:
        given = ContentRange.parse(response.headers.get("content-range") or "")
        length = response.content_length
        if (
            given is None
            or given.start != self._position
            or (length is not None and length != given.stop - given.start)
        ):
            raise Transient(
                SourceError(
                    f"{response.host} answers with another range of {self._wanted.what} than the one asked for"
                )
            )
        self._check_total(given.total)

    def _check_total(self, total: int | None) -> None:
        if total is None:
            return
        known = self._wanted.size if self._wanted.size is not None else self.total_size
        if known is not None and total != known:
            raise Transient(
                ContentError(f"the registry has {total} bytes for {self._wanted.what}, which has {known}")
            )
        if total > self._wanted.cap_bytes:
            raise ContentError(
                f"{self._wanted.what} has {total} bytes: at most {self._wanted.cap_bytes} are accepted"
            )
        self.total_size = total

    async def _at_end(self) -> bool:
        """Whether everything was given out. Raises ContentError where the body goes on after the content's end."""
        end, response = self._end, self._response
        if end is None or self._position < end:
            return False
        if response is not None and response.content_length is None and self._wanted.stop is None:
            try:
                has_more = await response.receive_into(memoryview(bytearray(1)))
            except Transient:
                has_more = 0
            if has_more:
                raise self._too_long()
        return True

    async def _next_piece(self, buffer: memoryview) -> int:
        """0: what came was known already, or the response ended and the next one carries on."""
        response, end = self._response, self._end
        assert response is not None
        if end is None and self._position >= self._wanted.cap_bytes:
            raise self._too_long()
        room = self._skip_bytes or (self._wanted.cap_bytes if end is None else end) - self._position
        count = await response.receive_into(buffer[:room])
        if not count:
            self._on_response_end(response)
            await self.close()
            return 0
        if self._skip_bytes:
            self._skip_bytes -= count
            return 0
        self._position += count
        return count

    def _on_response_end(self, response: OpenResponse) -> None:
        """Raises Transient where the body ended early. A 206 may be shorter than asked for, but not tiny."""
        end = self._end
        if end is None:
            if self._position == 0 and not self._wanted.may_be_empty:
                raise Transient(ContentError(f"{response.host} sends an empty body for {self._wanted.what}"))
            self.total_size = self._position
            self._finished = True
            return
        enough = response.status == 206 and self._position - self._response_start >= _PROGRESS_BYTES
        if self._position < end and not enough:
            raise Transient(
                ContentError(
                    f"{response.host} sends only {self._position} of {end} bytes of {self._wanted.what}"
                )
            )

    async def _pause(self, failure: Transient) -> None:
        await self.close()
        progressed = self._position - self._last_failure_at >= _PROGRESS_BYTES
        self._failures = 1 if progressed else self._failures + 1
        self._last_failure_at = self._position
        if not self._retries.may_retry(self._failures):
            self._finished = True
            raise failure.error from None
        await trio.sleep(self._retries.wait_seconds(self._failures, self._rng))

    def _too_long(self) -> ContentError:
        return ContentError(
            f"the registry sends more bytes for {self._wanted.what} than the {self._position} it has"
        )
