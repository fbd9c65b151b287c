"""`TrackerClient`: the calls to the tracker, over one keep-alive connection. Raises TrackerError, nothing else."""

import ssl
from typing import TypeVar
from urllib.parse import urlsplit

import trio

from agent.content.errors import TrackerError
from agent.http.client import Connect, HttpClient
from agent.wire.push_calls import (
    FIND,
    FIND_ANSWER,
    NAMES,
    NAMES_ANSWER,
    PUBLISH,
    PUBLISH_ANSWER,
    REPLICATE,
    REPLICATE_ANSWER,
    Find,
    FindAnswer,
    Names,
    NamesAnswer,
    Publish,
    PublishAnswer,
    Replicate,
    ReplicateAnswer,
)
from agent.wire.shape import Malformed, Shape
from agent.wire.tracker_calls import (
    ANNOUNCE,
    ANNOUNCE_ANSWER,
    MAX_CALL_BYTES,
    RESOLVE,
    RESOLVE_ANSWER,
    RESOLVED,
    Announce,
    AnnounceAnswer,
    Resolve,
    ResolveAnswer,
    Resolved,
    decode_call,
    encode_call,
)

_DEADLINE_SECONDS = 5.0
_MSGPACK = (("Content-Type", "application/msgpack"),)
T = TypeVar("T")


def connector(url: str) -> Connect:
    """How to connect to `http://host:port` or `https://host[:port]`."""
    parts = urlsplit(url)
    host, tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if tls else 80)

    async def connect() -> trio.abc.Stream:
        if tls:
            return await trio.open_ssl_over_tcp_stream(host, port, ssl_context=ssl.create_default_context())
        return await trio.open_tcp_stream(host, port)

    return connect


class TrackerClient:
    def __init__(self, url: str, connect: Connect | None = None) -> None:
        self._http = HttpClient(connect or connector(url), host=urlsplit(url).netloc, failure=TrackerError)

    async def announce(self, announce: Announce) -> AnnounceAnswer:
        return decode(ANNOUNCE_ANSWER, await self._post("/v1/announce", encode_call(ANNOUNCE, announce)))

    async def resolve(self, resolve: Resolve) -> ResolveAnswer:
        return decode(RESOLVE_ANSWER, await self._post("/v1/resolve", encode_call(RESOLVE, resolve)))

    async def resolved(self, resolved: Resolved) -> None:
        await self._post("/v1/resolved", encode_call(RESOLVED, resolved))

    async def publish(self, call: Publish) -> PublishAnswer:
        return decode(PUBLISH_ANSWER, await self._post("/v1/publish", encode_call(PUBLISH, call)))

    async def find(self, call: Find) -> FindAnswer:
        return decode(FIND_ANSWER, await self._post("/v1/find", encode_call(FIND, call)))

    async def names(self, call: Names) -> NamesAnswer:
        return decode(NAMES_ANSWER, await self._post("/v1/names", encode_call(NAMES, call)))

    async def replicate(self, call: Replicate) -> ReplicateAnswer:
        return decode(REPLICATE_ANSWER, await self._post("/v1/replicate", encode_call(REPLICATE, call)))

    def is_cut(self) -> bool:
        """Has the tracker closed a connection that was kept? It may have been restarted."""
        return self._http.is_cut()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _post(self, target: str, body: bytes) -> bytes:
        try:
            answer = await self._http.request(
                "POST",
                target,
                _MSGPACK,
                body,
                limit_bytes=MAX_CALL_BYTES,
                deadline_seconds=_DEADLINE_SECONDS,
                idempotent=True,  # an announce told twice says the same
            )
        except OSError as error:
            raise TrackerError(f"the tracker cannot be reached: {error}") from None
        if not 200 <= answer.status < 300:
            raise TrackerError(
                f"the tracker answers {answer.status}: {answer.body[:200].decode(errors='replace')}"
            )
        return answer.body


def decode(shape: Shape[T], body: bytes) -> T:
    try:
        return decode_call(shape, body)
    except Malformed as error:
        raise TrackerError(f"the tracker's answer is malformed: {error}") from None
