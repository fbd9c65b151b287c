"""`Exchange`: one request to one registry, with its authentication and redirects, up to an open response.

Invariants: Authorization goes to the registry's own origin alone; what fails names the registry and the content, never
a header or a query. Whether to try again is the caller's (retry.py); failures that may be chance come as Transient.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from agent.content.errors import ShoalError, SourceError, Unauthorized
from agent.content.reference import Repository
from agent.origin.authorizer import Authorizer
from agent.origin.challenge import parse_challenges
from agent.origin.client import Clients
from agent.origin.redirect_rule import REDIRECT_STATUSES, Hop, next_hop
from agent.origin.request import open_response
from agent.origin.response import OpenResponse
from agent.origin.retry import Transient, error_of, is_transient_status, parse_retry_after
from agent.origin.upload_body import UploadBody

_MAX_ERROR_BYTES = 64 * 1024
_ERROR_SECONDS = 2.0
_MAX_CHALLENGES_ANSWERED = 3


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for content: `kind` is `blobs` or `manifests`, `target` a checked tag or digest.

    Of a push: `hop` is where the registry said that the upload goes on, `named` is what it is about, in error texts.
    """

    method: str
    repository: Repository
    kind: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    accepted: frozenset[int] = frozenset({200, 206, 416})
    body: UploadBody | None = None
    hop: Hop | None = None
    named: str = ""

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD")

    @property
    def what(self) -> str:
        if self.named:
            return self.named
        separator = "@" if ":" in self.target else ":"
        return f"{self.repository}{separator}{self.target}"


class Exchange:
    """The requests of one registry. `on_head` sees the headers of every answer of the registry itself."""

    def __init__(
        self,
        clients: Clients,
        authorizer: Authorizer,
        now_unix: Callable[[], float],
        on_head: Callable[[httpx.Headers], None],
    ) -> None:
        self.timeouts = clients.timeouts
        self.host = clients.upstream.host
        self._clients = clients
        self._authorizer = authorizer
        self._now_unix = now_unix
        self._on_head = on_head

    async def open(self, ask: Ask) -> OpenResponse:
        """The response with a status that `ask` accepts. The caller closes it. Raises ShoalErrors and Transient."""
        response = await self._open_authorized(ask)
        if response.status in ask.accepted:
            return response
        try:
            raise await self._failure(ask, response)
        finally:
            await response.close()

    async def _open_authorized(self, ask: Ask) -> OpenResponse:
        header = await self._authorizer.header_for(ask.repository)
        for _ in range(_MAX_CHALLENGES_ANSWERED):
            response = await self._follow(ask, header)
            challenges = parse_challenges(response.headers.get_list("www-authenticate"))
            more_scope = response.status == 403 and any(
                challenge.wants_more_scope for challenge in challenges
            )
            if response.away or (response.status != 401 and not more_scope):
                return response
            await response.close()
            header = await self._authorizer.answer(ask.repository, challenges, header)
        raise Unauthorized(
            f"{self.host} refuses access to {ask.what}: it does not exist there, or needs other credentials"
        )

    async def _follow(self, ask: Ask, authorization: str | None) -> OpenResponse:
        upstream = self._clients.upstream
        url, hops = upstream.url_of(ask.repository, ask.kind, ask.target), 0
        away = False
        if ask.hop is not None:
            url, away = ask.hop.url, not ask.hop.same_origin
        while True:
            headers = [
                *ask.headers,
                *([("authorization", authorization)] if authorization and not away else []),
            ]
            response = await self._send(ask, url, headers, away=away)
            location = response.headers.get("location")
            if response.status not in REDIRECT_STATUSES or location is None:
                return response
            await response.close()
            hop = self.hop(url, location, hops, ask.what)
            url, hops, away = hop.url, hops + 1, away or not hop.same_origin

    def hop(self, url: str, location: str, hops: int, what: str) -> Hop:
        """Where an answer to `url` sends us. Raises SourceError where that is not followed."""
        upstream = self._clients.upstream
        try:
            return next_hop(
                url, location, hops, self._clients.whereabouts.kind, upstream.allow_private_redirects
            )
        except SourceError as error:
            raise SourceError(f"{self.host} {error}: not followed for {what}") from None

    def upload_hop(
        self, response: OpenResponse, before: Hop | None, repository: Repository, what: str
    ) -> Hop:
        """Where the upload goes on that this answered. An upload that left the registry does not come back to it with
        our credentials. Raises SourceError."""
        location = response.headers.get("location")
        if location is None:
            if before is None:
                raise SourceError(f"{self.host} does not say where {what} is to be sent")
            return before
        start = before.url if before else self._clients.upstream.url_of(repository, "blobs", "uploads/")
        hop = self.hop(start, location, 0, what)
        return Hop(hop.url, hop.same_origin and not response.away and (before is None or before.same_origin))

    async def _send(self, ask: Ask, url: str, headers: list[tuple[str, str]], *, away: bool) -> OpenResponse:
        response = await open_response(
            self._clients, ask.method, url, away=away, headers=headers, body=ask.body
        )
        if not away:
            self._on_head(response.headers)
        return response

    async def _failure(self, ask: Ask, response: OpenResponse) -> ShoalError | Transient:
        wait = parse_retry_after(response.headers.get("retry-after"), self._now_unix())
        if response.away:
            # A signed URL that expired, or storage that has not caught up: the registry gives another one.
            error = error_of(response.status, response.host, ask.what, retry_after_seconds=wait)
            if response.status in (429, 503):
                return error
            if isinstance(error, Unauthorized):
                error = SourceError(f"{response.host}, to which {self.host} sends us, refuses {ask.what}")
            return Transient(error)
        code = await self._error_code(response) if ask.method != "HEAD" else ""
        error = error_of(
            response.status, self.host, ask.what, retry_after_seconds=wait, code=code, writes=ask.writes
        )
        return Transient(error) if is_transient_status(response.status) else error

    async def _error_code(self, response: OpenResponse) -> str:
        """The registry's own error code. Its message is left out: it may repeat what we sent."""
        try:
            body = await response.read(_MAX_ERROR_BYTES, _ERROR_SECONDS)
            code = json.loads(body or b"")["errors"][0]["code"]
        except (Transient, ValueError, LookupError, TypeError, RecursionError):
            return ""
        is_code = (
            isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum() and len(code) <= 40
        )
        return code if is_code else ""
