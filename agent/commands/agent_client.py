"""`AgentClient`: the calls of agent/node/admin.py to the agent that runs on this machine, over its Unix socket.

`NoAgent` where none listens there; every other failure of the agent itself is an AgentError. What the agent says of a
failed pull is raised as the class it had there, so that exit codes are the same with and without an agent.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from agent.commands.progress_json import progress_of
from agent.content.digest import Digest
from agent.content.errors import AgentError, ShoalError
from agent.content.platform import Platform
from agent.content.reference import Reference
from agent.http.client import HttpClient, StreamedAnswer
from agent.node.pull_progress import OnProgress, PullProgress

_ANSWER_SECONDS = 10.0
_FETCH_SECONDS = 3600.0
_SILENCE_SECONDS = 30.0  # a line comes every 0.1 s
_MAX_STATUS_BYTES = 64 * 1024 * 1024
_MAX_LINE_BYTES = 16 * 1024 * 1024


class NoAgent(AgentError):
    """Nothing listens on the admin socket."""


class AgentClient:
    """Made by `open_agent_client`."""

    def __init__(self, http: HttpClient, socket: Path) -> None:
        self._http = http
        self._socket = socket

    async def status(self) -> dict[str, Any]:
        """agent/node/status.py's object."""
        answer = await self._http.request(
            "GET", "/v1/status", limit_bytes=_MAX_STATUS_BYTES, deadline_seconds=_ANSWER_SECONDS
        )
        if answer.status != 200:
            raise self._unexpected(answer.status)
        return self._object(answer.body)

    async def names_changed(self) -> None:
        """Names of the cluster's own images were given or taken away in the store, beside the agent."""
        answer = await self._http.request(
            "POST", "/v1/names-changed", limit_bytes=4096, deadline_seconds=_ANSWER_SECONDS
        )
        if answer.status != 204:
            raise self._unexpected(answer.status)

    async def fetch_again(self, digest: Digest) -> None:
        """A blob that the store lost. Raises what the agent could not get it for."""
        answer = await self._http.request(
            "POST",
            "/v1/fetch",
            body=json.dumps({"digest": str(digest)}).encode(),
            limit_bytes=64 * 1024,
            deadline_seconds=_FETCH_SECONDS,
        )
        if answer.status != 200:
            raise self._unexpected(answer.status)
        outcome = self._object(answer.body)
        if outcome.get("outcome") != "done":
            raise _error_named(str(outcome.get("kind")), str(outcome.get("error")))

    async def pull(
        self, reference: Reference, platform: Platform | None, on_progress: OnProgress
    ) -> PullProgress:
        """Raises what the pull failed with in the agent."""
        wanted = {"reference": str(reference), "platform": None if platform is None else str(platform)}
        async with self._http.open_response(
            "POST",
            "/v1/pull",
            [("Content-Type", "application/json")],
            json.dumps(wanted).encode(),
            deadline_seconds=_ANSWER_SECONDS,
        ) as answer:
            if answer.status != 200:
                raise self._unexpected(answer.status)
            return await self._follow(answer, on_progress)

    async def _follow(self, answer: StreamedAnswer, on_progress: OnProgress) -> PullProgress:
        while True:
            text = await answer.receive_line(_MAX_LINE_BYTES, _SILENCE_SECONDS)
            if text is None:
                raise AgentError(f"the agent at {self._socket} ended in the middle of the pull")
            line = self._object(text)
            try:
                progress = progress_of(line)
            except (KeyError, TypeError, ValueError, ShoalError):
                raise self._garbled() from None
            on_progress(progress)
            if line.get("outcome") == "failed":
                raise _error_named(str(line.get("kind")), str(line.get("error")))
            if line.get("outcome") == "done":
                return progress

    def _object(self, text: bytes) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._garbled()
        return value

    def _unexpected(self, status: int) -> AgentError:
        return AgentError(
            f"the agent at {self._socket} answered with status {status}; is it of this version?"
        )

    def _garbled(self) -> AgentError:
        return AgentError(f"the agent at {self._socket} answered nothing known; is it of this version?")


@asynccontextmanager
async def open_agent_client(socket: Path) -> AsyncIterator[AgentClient]:
    """Connects with the first call. Closes its connections at the end."""

    async def connect() -> trio.abc.Stream:
        try:
            return await trio.open_unix_socket(str(socket))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise NoAgent(f"no agent runs at {socket}") from None
        except PermissionError:
            raise AgentError(
                f"the agent at {socket} belongs to another user: run this as that user, or as root"
            ) from None

    http = HttpClient(connect, host="agent", failure=AgentError)
    try:
        yield AgentClient(http, socket)
    finally:
        with trio.CancelScope(shield=True):
            await http.aclose()


def _error_named(kind: str, text: str) -> ShoalError:
    """The class of this name in the error tree; ShoalError for one that this version does not know."""
    pending: list[type[ShoalError]] = [ShoalError]
    while pending:
        candidate = pending.pop()
        if candidate.__name__ == kind:
            return candidate(text)
        pending += candidate.__subclasses__()
    return ShoalError(text)
