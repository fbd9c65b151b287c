"""Credentials as Docker's config.json and podman's auth.json hold them: the parser, and which entry is for whom. PURE.

Docker keys by host, or by URL (`https://index.docker.io/v1/` for Docker Hub); podman also by namespace
(`quay.io/team`), where the most specific wins. A malformed entry costs only itself; a malformed file says so without
quoting any of it.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.content.errors import InputError
from agent.content.reference import DOCKER_HUB, Repository, parse_registry
from agent.origin.credential import Credential

DOCKER_HUB_KEY = "https://index.docker.io/v1/"
# Docker's helpers answer this name where the secret is an identity token.
_TOKEN_USER = "<token>"
_TOKEN = re.compile(r"[!-~]*")
_API_PATH = re.compile(r"/v[12]/?")


@dataclass(frozen=True, slots=True)
class CredentialFile:
    """`entries` and `helpers` are keyed by canonical `host[/namespace]`; `default_helper` is Docker's credsStore."""

    entries: Mapping[str, Credential] = field(default_factory=dict)
    helpers: Mapping[str, str] = field(default_factory=dict)
    default_helper: str | None = None

    @classmethod
    def parse(cls, text: str | bytes) -> "CredentialFile":
        """Raises InputError where it is not JSON of that shape at all."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError):
            raise InputError("not JSON") from None
        if not isinstance(raw, dict):
            raise InputError("not a JSON object")
        entries: dict[str, Credential] = {}
        for key, value in _mapping(raw.get("auths")).items():
            credential = _entry(value)
            if credential:
                entries.setdefault(normal_key(key), credential)
        helpers = {
            normal_key(k): v for k, v in _mapping(raw.get("credHelpers")).items() if isinstance(v, str) and v
        }
        default = raw.get("credsStore")
        return cls(entries, helpers, default if isinstance(default, str) and default else None)

    def find(self, repository: Repository) -> Credential | None:
        """The most specific entry for a repository."""
        return next((self.entries[key] for key in keys_of(repository) if key in self.entries), None)

    def helper_for(self, repository: Repository) -> str | None:
        """The helper that answers for this registry: its own, else the file's default one."""
        own = next((self.helpers[key] for key in keys_of(repository) if key in self.helpers), None)
        return own or self.default_helper


def keys_of(repository: Repository) -> list[str]:
    """`registry/a/b`, `registry/a`, `registry`: what its entry may be called, most specific first."""
    parts = repository.name.split("/")
    return ["/".join([repository.registry, *parts[:count]]) for count in range(len(parts), -1, -1)]


def normal_key(key: str) -> str:
    """A file's key as `host[/namespace]`. With a scheme or an API path it names the host alone."""
    bare = re.sub(r"^https?://", "", key.strip(), flags=re.IGNORECASE)
    host, slash, path = bare.partition("/")
    try:
        host = parse_registry(host)
    except InputError:
        return bare
    if bare != key.strip() or not path or _API_PATH.fullmatch(slash + path):
        return host
    return f"{host}/{path.rstrip('/')}"


def helper_key(registry: str) -> str:
    """What a helper is asked for: Docker stores Docker Hub under a URL of its own."""
    return DOCKER_HUB_KEY if registry == DOCKER_HUB else registry


def credential_of_helper(username: str, secret: str) -> Credential:
    return Credential(identity_token=secret) if username == _TOKEN_USER else Credential(username, secret)


def _entry(raw: Any) -> Credential | None:
    if not isinstance(raw, dict):
        return None
    texts = {key: value for key, value in raw.items() if isinstance(value, str)}
    username, password = texts.get("username", ""), texts.get("password", "")
    if texts.get("auth"):
        try:
            decoded = base64.b64decode(texts["auth"], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            decoded = ""
        name, colon, secret = decoded.partition(":")
        if colon and name:
            username, password = name, secret.strip("\0")
    registry_token = texts.get("registrytoken", "")
    if not _TOKEN.fullmatch(registry_token):
        registry_token = ""  # it would go into a header as it is
    return Credential(username, password, texts.get("identitytoken", ""), registry_token)


def _mapping(raw: Any) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if isinstance(key, str)} if isinstance(raw, dict) else {}
