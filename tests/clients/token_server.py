"""`TokenServer`: the token endpoint of the distribution token specification, for a real registry to trust.

Answers `GET /token?service=&scope=` with an RS256 JWT whose x5c header carries the certificate that the registry has
as its rootcertbundle. It runs in a thread of its own on the standard library's server, so that it shares no code with
what it tests.
"""

import base64
import datetime
import http.server
import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

SERVICE, ISSUER = "tests.registry", "tests.issuer"


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What a client asked for: `user` is None where it sent no credentials."""

    user: str | None
    service: str
    scopes: tuple[str, ...]
    status: int


@dataclass(slots=True)
class TokenServer:
    """`accounts` maps users to passwords; where `anonymous_pull`, everyone may pull. Pushing takes an account."""

    port: int
    key: rsa.RSAPrivateKey
    certificate: x509.Certificate
    accounts: Mapping[str, str]
    anonymous_pull: bool
    expires_seconds: int
    requests: list[TokenRequest] = field(default_factory=list)

    @property
    def realm(self) -> str:
        return f"http://127.0.0.1:{self.port}/token"

    def registry_settings(self, directory: Path) -> dict[str, str]:
        """docker-registry's `auth.token`; writes the certificate into `directory`."""
        bundle = directory / "token-root.pem"
        bundle.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return {"realm": self.realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(bundle)}

    def answer(self, query: str, authorization: str | None) -> tuple[int, dict[str, Any]]:
        parameters = parse_qs(query)
        service = parameters.get("service", [""])[0]
        scopes = tuple(scope for value in parameters.get("scope", []) for scope in value.split(" "))
        user, right = self._user(authorization)
        status = 200 if right and (user or self.anonymous_pull) else 401
        self.requests.append(TokenRequest(user, service, scopes, status))
        if status != 200:
            return status, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong user or password"}]}
        access = [_access(scope, may_push=user is not None) for scope in scopes]
        return status, {"token": self.token(user or "", access), "expires_in": self.expires_seconds}

    def token(self, subject: str, access: list[dict[str, Any]]) -> str:
        now = int(time.time())
        certificate = base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()
        header = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
        claims = {
            "iss": ISSUER,
            "sub": subject,
            "aud": SERVICE,
            "iat": now,
            "nbf": now - 5,
            "exp": now + self.expires_seconds,
            "jti": uuid.uuid4().hex,
            "access": access,
        }
        signed = f"{_segment(header)}.{_segment(claims)}"
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64url(signature)}"

    def _user(self, authorization: str | None) -> tuple[str | None, bool]:
        if authorization is None:
            return None, True
        scheme, _, encoded = authorization.partition(" ")
        user, _, password = base64.b64decode(encoded).decode().partition(":")
        return user, scheme.lower() == "basic" and self.accounts.get(user) == password


def _access(scope: str, may_push: bool) -> dict[str, Any]:
    kind, rest = scope.split(":", 1)
    name, _, actions = rest.rpartition(":")
    granted = [action for action in actions.split(",") if action == "pull" or may_push]
    return {"type": kind, "name": name, "actions": granted}


def _segment(document: dict[str, Any]) -> str:
    return _base64url(json.dumps(document, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _self_signed(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256())


@contextmanager
def open_token_server(
    accounts: Mapping[str, str], *, anonymous_pull: bool = False, expires_seconds: int = 300
) -> Iterator[TokenServer]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            status, document = tokens.answer(url.query, self.headers.get("Authorization"))
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing: what was asked is in `requests`."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        tokens = TokenServer(
            server.server_port, key, _self_signed(key), accounts, anonymous_pull, expires_seconds
        )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield tokens
        finally:
            server.shutdown()
            thread.join()
