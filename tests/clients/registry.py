"""`open_registry`: the real docker-registry, with its log as the measure of who asked it for what.

With no auth, htpasswd, or tokens of a `TokenServer`; or as a pull-through cache of another registry.
"""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.daemon import Daemon, open_daemon
from tests.clients.token_server import TokenServer

# bcrypt of "letmein", the only kind that docker-registry takes (perl -e 'print crypt("letmein", "\$2b\$05\$...")').
HTPASSWD_USER, HTPASSWD_PASSWORD = "swimmer", "letmein"
_HTPASSWD = "swimmer:$2b$05$abcdefghijklmnopqrstuuKwWV7ESJpzKzf9FQg57dBvMuv92X9HS\n"


@dataclass(frozen=True, slots=True)
class Request:
    """One answered request, as the registry logged it."""

    method: str
    uri: str
    status: int
    bytes: int
    remote: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Registry:
    daemon: Daemon
    host: str
    port: int
    directory: Path

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}"

    def requests(self) -> list[Request]:
        """Every request answered so far, oldest first; a transfer that the client broke off counts what was sent.
        The log is a moment behind: a client may have its answer before (wait_until)."""
        lines = (line for line in self.daemon.log_text().splitlines() if '"response completed' in line)
        return [_request(json.loads(line)) for line in lines]

    def blob_requests(self, digest: str | None = None) -> list[Request]:
        """The GETs of blobs, or of one blob."""
        part = f"/blobs/{digest}" if digest else "/blobs/sha"
        return [request for request in self.requests() if request.method == "GET" and part in request.uri]

    def blob_bytes(self, digest: str | None = None) -> int:
        """Bytes of blob bodies sent so far, or of one blob's."""
        return sum(request.bytes for request in self.blob_requests(digest) if request.status in (200, 206))


def _request(entry: dict[str, Any]) -> Request:
    return Request(
        method=entry["http.request.method"],
        uri=entry["http.request.uri"],
        status=entry.get("http.response.status", 0),
        bytes=entry.get("http.response.written", 0),
        remote=entry["http.request.remoteaddr"],
        user_agent=entry.get("http.request.useragent", ""),
    )


@asynccontextmanager
async def open_registry(
    directory: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    auth: "str | TokenServer" = "none",
    remote_url: str | None = None,
    namespace: str | None = None,
) -> AsyncIterator[Registry]:
    """`auth` is "none", "htpasswd" (HTPASSWD_USER, HTPASSWD_PASSWORD) or a TokenServer. With `remote_url` it is a
    pull-through cache of that registry. What was pushed stays in `directory` for the next registry there."""
    directory.mkdir(parents=True, exist_ok=True)
    configuration: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"{host}:{port}", "secret": "only for tests"},
    }
    if remote_url:
        configuration["proxy"] = {"remoteurl": remote_url}
    if isinstance(auth, TokenServer):
        configuration["auth"] = {"token": auth.registry_settings(directory)}
    elif auth == "htpasswd":
        (directory / "htpasswd").write_text(_HTPASSWD)
        configuration["auth"] = {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}}
    file = directory / "config.yml"
    file.write_text(json.dumps(configuration))  # JSON is YAML
    listening = r'"listening on [^"]*:(\d+)"'
    log = directory / "log"
    log.unlink(missing_ok=True)
    async with open_daemon(
        ["docker-registry", "serve", file], log=log, ready=listening, namespace=namespace
    ) as daemon:
        match = await daemon.wait_log(listening)
        yield Registry(daemon, host, int(match.group(1)), directory)


def basic_auth(user: str = HTPASSWD_USER, password: str = HTPASSWD_PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
