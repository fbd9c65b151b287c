"""How the fake registry asks for credentials, in the style of each product that Shoal meets.

A style says what a 401 looks like and how the token server answers. Headers are as the products send them, apart from
hosts, which are the fake's own.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

import trio


@dataclass(frozen=True)
class AuthStyle:
    """`challenge` is a template over {url}, {host}, {repository}; `token_path` is where tokens are, None for Basic."""

    challenge: tuple[str, ...]
    token_path: str | None = None
    token_field: tuple[str, ...] = ("token",)
    expires_in: int | None = None
    anonymous: bool = False
    """tokens without credentials, good for public repositories"""
    oauth_status: int = 200
    """what a POST is answered with; 200: it works"""
    users: Mapping[str, str] = field(default_factory=lambda: {"user": "secret"})
    identity_tokens: frozenset[str] = frozenset({"identity"})
    private: frozenset[str] = frozenset()
    """repositories that anonymous tokens cannot read"""
    realm_url: str | None = None
    """a token server elsewhere than at the registry"""


def _bearer(path: str, service: str, **more: Any) -> AuthStyle:
    challenge = f'Bearer realm="{{url}}{path}",service="{service}",scope="repository:{{repository}}:pull"'
    return AuthStyle((challenge,), path, **more)


DOCKER_HUB = _bearer(
    "/token", "registry.docker.io", token_field=("token", "access_token"), expires_in=300, anonymous=True
)
DISTRIBUTION_BASIC = AuthStyle(('Basic realm="basic-realm"',))
DISTRIBUTION_TOKEN = replace(
    _bearer("/auth", "registry.test", token_field=("access_token",), expires_in=60),
    challenge=(
        'Bearer realm="{url}/auth",service="registry.test",scope="repository:{repository}:pull,push"',
    ),
)
HARBOR = _bearer(
    "/service/token",
    "harbor-registry",
    token_field=("token", "access_token"),
    expires_in=1800,
    oauth_status=405,
)
QUAY = _bearer("/v2/auth", "quay.io", anonymous=True, oauth_status=405)
GITLAB = replace(
    _bearer("/jwt/auth", "container_registry", oauth_status=404),
    challenge=(
        (
            'Bearer realm="{url}/jwt/auth",service="container_registry",'
            'scope="repository:{repository}:pull",error="invalid_token"'
        ),
    ),
)
ECR = AuthStyle(('Basic realm="{url}/",service="ecr.amazonaws.com"',), users={"AWS": "secret"})
ACR = replace(
    _bearer("/oauth2/token", "{host}", token_field=("access_token",)),
    challenge=(
        'Basic realm="{url}"',
        'Bearer realm="{url}/oauth2/token",service="{host}",scope="repository:{repository}:pull"',
    ),
)
GOOGLE = _bearer("/v2/token", "gcr.io", expires_in=43200, anonymous=True, oauth_status=404)

STYLES = {
    "docker-hub": DOCKER_HUB,
    "distribution-basic": DISTRIBUTION_BASIC,
    "distribution-token": DISTRIBUTION_TOKEN,
    "harbor": HARBOR,
    "quay": QUAY,
    "gitlab": GITLAB,
    "ecr": ECR,
    "acr": ACR,
    "google": GOOGLE,
}


@dataclass
class _Issued:
    scopes: frozenset[str]
    expires_at: float


class Gate:
    """Decides who may read; issues and checks tokens. `style` None: everybody may."""

    def __init__(self, style: AuthStyle | None) -> None:
        self.style = style
        self.issued: dict[str, _Issued] = {}

    def revoke_all(self) -> None:
        self.issued.clear()

    def challenges(self, url: str, repository: str) -> list[str]:
        assert self.style is not None
        base = self.style.realm_url or url
        host = url.partition("//")[2]
        return [text.format(url=base, host=host, repository=repository) for text in self.style.challenge]

    def admits(self, authorization: str | None, repository: str) -> bool:
        if self.style is None:
            return True
        kind, _, value = (authorization or "").partition(" ")
        if kind == "Bearer":
            issued = self.issued.get(value)
            return bool(
                issued
                and issued.expires_at > trio.current_time()
                and f"repository:{repository}:pull" in issued.scopes
            )
        basic_is_good = self.style.token_path is None or len(self.style.challenge) > 1
        return kind == "Basic" and basic_is_good and self._knows(authorization)

    def answer_get(self, authorization: str | None, query: str) -> tuple[int, bytes]:
        """The token server's answer to GET."""
        assert self.style is not None
        known = self._knows(authorization)
        if not known and (authorization or not self.style.anonymous):
            return 401, b'{"errors":[{"code":"UNAUTHORIZED"}]}'
        scopes = {value for key, value in parse_qsl(query) if key == "scope"}
        return 200, self._issue(scopes, anonymous=not known)

    def answer_post(self, body: bytes) -> tuple[int, bytes]:
        """The token server's answer to an OAuth2 POST."""
        assert self.style is not None
        if self.style.oauth_status != 200:
            return self.style.oauth_status, b"{}"
        form = dict(parse_qsl(body.decode()))
        if (
            form.get("grant_type") != "refresh_token"
            or form.get("refresh_token") not in self.style.identity_tokens
        ):
            return 401, b'{"error":"invalid_grant"}'
        return 200, self._issue(set(form.get("scope", "").split(" ")), anonymous=False)

    def _issue(self, scopes: set[str], *, anonymous: bool) -> bytes:
        assert self.style is not None
        granted = set()
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            if not (anonymous and name in self.style.private):
                granted |= {f"{kind}:{name}:{action}" for action in actions.split(",")}
        token = "T-" + secrets.token_urlsafe(24)
        life = self.style.expires_in if self.style.expires_in is not None else 60
        self.issued[token] = _Issued(frozenset(granted), trio.current_time() + life)
        answer: dict[str, Any] = dict.fromkeys(self.style.token_field, token)
        if self.style.expires_in is not None:
            answer["expires_in"] = self.style.expires_in
        return json.dumps(answer).encode()

    def _knows(self, authorization: str | None) -> bool:
        assert self.style is not None
        kind, _, value = (authorization or "").partition(" ")
        if kind != "Basic":
            return False
        user, _, password = base64.b64decode(value).decode().partition(":")
        return self.style.users.get(user) == password or password in self.style.identity_tokens
