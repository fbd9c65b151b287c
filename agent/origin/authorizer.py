"""`Authorizer`: which Authorization header a request to one registry carries.

What a repository's challenge was is remembered, so that only its first request is answered with 401. Bearer is
preferred to Basic where both are offered, as Docker does.
"""

from collections.abc import Callable, Sequence

from agent.content.errors import Unauthorized
from agent.content.reference import Repository
from agent.origin.challenge import Challenge
from agent.origin.client import Clients
from agent.origin.credential import Credential
from agent.origin.credentials import CredentialStore
from agent.origin.token_auth import TokenAuth, TokenKey

_MAX_REMEMBERED = 10_000


class Authorizer:
    """`pushes`: tokens are to be good for pushing, whatever the challenge of a read asks for; `reads_too`: and for
    reading these repositories of the same registry."""

    def __init__(
        self,
        clients: Clients,
        credentials: CredentialStore,
        now_unix: Callable[[], float],
        *,
        pushes: bool = False,
        reads_too: Sequence[Repository] = (),
    ) -> None:
        self._pushes = pushes
        self._reads_too = reads_too
        self._upstream = clients.upstream
        self._credentials = credentials
        self._tokens = TokenAuth(clients, now_unix)
        self._challenges: dict[Repository, Challenge] = {}

    async def header_for(self, repository: Repository) -> str | None:
        """What to send before having been asked: from what this repository asked for last time."""
        credential = await self._credentials.find(repository)
        if credential and credential.registry_token:
            return f"Bearer {credential.registry_token}"
        challenge = self._challenges.get(repository)
        if challenge is None:
            return None
        return await self._answer(repository, challenge, credential)

    async def answer(self, repository: Repository, challenges: Sequence[Challenge], sent: str | None) -> str:
        """A header that answers a 401 to a request that carried `sent`. Raises Unauthorized where there is none."""
        if sent is not None:
            self._tokens.forget(sent.removeprefix("Bearer "))
            self._credentials.forget_answers(repository.registry)
        credential = await self._credentials.find(repository)
        challenge = self._choose(challenges)
        known = self._challenges.get(repository)
        if known and challenge.wants_more_scope:
            challenge = _joined(challenge, known)
        header = await self._answer(repository, challenge, credential)
        if header is None:
            raise Unauthorized(
                f"{self._upstream.host} wants a name and a password for {repository}: none are configured"
            )
        if header == sent:
            raise Unauthorized(
                f"{self._upstream.host} refuses the credentials that this node has for {repository}"
            )
        if len(self._challenges) >= _MAX_REMEMBERED:
            self._challenges.clear()
        self._challenges[repository] = challenge
        return header

    async def _answer(
        self, repository: Repository, challenge: Challenge, credential: Credential | None
    ) -> str | None:
        if challenge.scheme == "basic":
            return credential.basic if credential else None
        scopes = self._scopes(repository, challenge)
        return f"Bearer {await self._tokens.get(TokenKey.of(challenge, scopes, credential))}"

    def _scopes(self, repository: Repository, challenge: Challenge) -> tuple[str, ...]:
        own = f"repository:{repository.name}:"
        if not self._pushes:
            return challenge.scopes or (f"{own}pull",)
        others = {scope for scope in challenge.scopes if not scope.startswith(own)}
        others |= {f"repository:{one.name}:pull" for one in self._reads_too if one != repository}
        return tuple(sorted({f"{own}pull,push", *others}))

    def _choose(self, challenges: Sequence[Challenge]) -> Challenge:
        for scheme in ("bearer", "basic"):
            for challenge in challenges:
                if challenge.scheme == scheme and (scheme == "basic" or challenge.get("realm")):
                    return challenge
        names = ", ".join(sorted({challenge.scheme[:20] for challenge in challenges})) or "nothing"
        raise Unauthorized(f"{self._upstream.host} asks for {names}: only Bearer and Basic are supported")


def _joined(challenge: Challenge, known: Challenge) -> Challenge:
    """The scopes of both: the registry asks for more than it said at first."""
    scope = " ".join(sorted({*challenge.scopes, *known.scopes}))
    return Challenge(challenge.scheme, {**known.parameters, **challenge.parameters, "scope": scope})
