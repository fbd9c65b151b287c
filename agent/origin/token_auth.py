"""`TokenAuth`: bearer tokens from a registry's token server, cached, one request in flight each.

The flow of the distribution project's token specification: GET with Basic where there is a password; OAuth2 POST for
identity tokens, falling back to GET where the server does not know it (404 GCR, 401 JFrog, 400 ACR, 405 Gitea).
A token is kept by (realm, service, scopes, credential). Those who wait for a request that fails get its error rather
than each asking again.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import trio

from agent.content.errors import ShoalError, SourceError, Unauthorized
from agent.origin.challenge import Challenge
from agent.origin.client import Clients
from agent.origin.credential import Credential
from agent.origin.realm_rule import RealmTrust, judge_realm
from agent.origin.request import open_response
from agent.origin.retry import Transient, error_of, is_transient_status, parse_retry_after

MAX_TOKEN_ANSWER_BYTES = 1024 * 1024
_NO_OAUTH_STATUSES = frozenset({400, 401, 404, 405})
_DEFAULT_LIFE_SECONDS = 60.0
_SPARE_SECONDS = 10.0
_MAX_KEPT = 4096
_TOKEN = re.compile(r"[!-~]{1,65536}")
_CLIENT_ID = "shoal"


@dataclass(frozen=True, slots=True)
class TokenKey:
    """What a token is for."""

    realm: str
    service: str
    scopes: tuple[str, ...]
    credential: Credential | None

    @classmethod
    def of(cls, challenge: Challenge, scopes: tuple[str, ...], credential: Credential | None) -> "TokenKey":
        return cls(challenge.get("realm"), challenge.get("service"), scopes, credential)


@dataclass(slots=True)
class _Slot:
    lock: trio.Lock = field(default_factory=trio.Lock)
    token: str = field(default="", repr=False)
    expires_at: float = float("-inf")
    attempts: int = 0
    failure: ShoalError | None = None


class TokenAuth:
    """The tokens of one registry."""

    def __init__(self, clients: Clients, now_unix: Callable[[], float]) -> None:
        self._clients = clients
        self._now_unix = now_unix
        self._slots: dict[TokenKey, _Slot] = {}

    def find(self, key: TokenKey) -> str | None:
        """A token that is still good, without asking anybody."""
        slot = self._slots.get(key)
        return slot.token if slot and trio.current_time() < slot.expires_at else None

    def forget(self, token: str) -> None:
        """The registry refused it."""
        for slot in self._slots.values():
            if slot.token == token:
                slot.expires_at = float("-inf")

    async def get(self, key: TokenKey) -> str:
        """Raises Unauthorized, Throttled, SourceError."""
        slot = self._slots.setdefault(key, _Slot())
        seen = slot.attempts
        async with slot.lock:
            if trio.current_time() < slot.expires_at:
                return slot.token
            if slot.attempts > seen and slot.failure is not None:
                raise slot.failure.with_traceback(None)
            slot.failure = None
            try:
                slot.token, life_seconds = await self._fetch(key)
            except ShoalError as error:
                slot.failure = error
                raise
            finally:
                slot.attempts += 1
            slot.expires_at = trio.current_time() + life_seconds
            self._drop_expired()
            return slot.token

    def _drop_expired(self) -> None:
        if len(self._slots) > _MAX_KEPT:
            now = trio.current_time()
            self._slots = {
                key: slot for key, slot in self._slots.items() if slot.lock.locked() or slot.expires_at > now
            }

    async def _fetch(self, key: TokenKey) -> tuple[str, float]:
        upstream = self._clients.upstream
        try:
            trust = judge_realm(upstream.url, key.realm, upstream.trusted_realms)
        except SourceError as error:
            raise SourceError(f"{upstream.host} {error}: no token was asked for") from None
        credential = key.credential if trust is RealmTrust.WITH_CREDENTIALS else None
        for last in (False, True):
            try:
                return await self._ask(key, credential)
            except Transient as failure:
                if last:
                    raise failure.error from None
            except Unauthorized:
                if key.credential and not credential:
                    host = urlsplit(key.realm).hostname
                    raise Unauthorized(
                        f"{upstream.host} names the token server {host}, which is not of its domain and was not given "
                        "the credentials; trust it in the registry's configuration if it is right"
                    ) from None
                raise
        raise AssertionError("unreachable")

    async def _ask(self, key: TokenKey, credential: Credential | None) -> tuple[str, float]:
        if credential and credential.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": key.service,
                "client_id": _CLIENT_ID,
                "scope": " ".join(key.scopes),
                "refresh_token": credential.identity_token,
            }
            status, answer = await self._send("POST", key.realm, form=form)
            if status not in _NO_OAUTH_STATUSES:
                return _read_token(answer)
        query = [("service", key.service)] if key.service else []
        query += [("scope", scope) for scope in key.scopes]
        if credential and credential.username:
            query.append(("account", credential.username))
        joint = "&" if urlsplit(key.realm).query else "?"
        headers = {"authorization": credential.basic} if credential and credential.basic else {}
        url = f"{key.realm}{joint}{urlencode(query)}" if query else key.realm
        status, answer = await self._send("GET", url, headers=headers)
        if status != 200:
            raise self._refusal(status, key, credential)
        return _read_token(answer)

    def _refusal(self, status: int, key: TokenKey, credential: Credential | None) -> ShoalError:
        """Whoever reads it has to know which of a node's registries and passwords it is about."""
        who, what = f"the token server {urlsplit(key.realm).netloc}", " ".join(key.scopes) or key.service
        registry = self._clients.upstream.registry
        if status in (401, 403) and credential:
            return Unauthorized(
                f"{who} refuses the credentials that this node has for {registry} (asked for {what})"
            )
        return error_of(status, who, f"a token for {what} of {registry}")

    async def _send(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """(status, body). Raises Transient, and Throttled for 429 and 503. Redirects are not followed."""
        own, target = urlsplit(self._clients.upstream.url), urlsplit(url)
        away = own[:2] != target[:2]
        host = target.netloc
        response = await open_response(
            self._clients, method, url, away=away, headers=list((headers or {}).items()), form=form
        )
        try:
            if is_transient_status(response.status):
                raise Transient(SourceError(f"the token server {host} answers with status {response.status}"))
            if response.status in (429, 503):
                wait = parse_retry_after(response.headers.get("retry-after"), self._now_unix())
                raise error_of(
                    response.status, f"the token server {host}", "a token", retry_after_seconds=wait
                )
            body = await response.read(MAX_TOKEN_ANSWER_BYTES, self._clients.timeouts.document_seconds)
        finally:
            await response.close()
        if body is None:
            raise SourceError(
                f"the token server {host} answers with more than {MAX_TOKEN_ANSWER_BYTES} bytes"
            )
        return response.status, body


def _read_token(body: bytes) -> tuple[str, float]:
    """(token, seconds that it may be used). Raises SourceError, without quoting any of it."""
    try:
        raw: Any = json.loads(body)
    except (ValueError, RecursionError):
        raw = None
    if not isinstance(raw, dict):
        raise SourceError("the token server gave no usable answer")
    token = raw.get("token") or raw.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise SourceError("the token server gave no usable token")
    life = raw.get("expires_in")
    if isinstance(life, bool) or not isinstance(life, int | float) or not 0 < life < 1e9:
        life = _DEFAULT_LIFE_SECONDS
    return token, life - min(_SPARE_SECONDS, life / 4)
