"""`Credential`: what a registry may be shown. Its text form never shows the secret."""

import base64
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credential:
    """A name and password, or a token in their place; hashable, so that tokens are cached by it.

    `identity_token` is an OAuth2 refresh token, exchanged at the token server; `registry_token` is a bearer token for
    the registry itself.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str | None:
        """The value of an Authorization header; None where there is no password to send."""
        secret = self.password or self.identity_token
        if not secret:
            return None
        name = self.username or "<token>"
        return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode("ascii")

    def __bool__(self) -> bool:
        return bool(self.password or self.identity_token or self.registry_token)
