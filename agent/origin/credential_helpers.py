"""Asks a `docker-credential-<name>` program for a credential (the protocol of docker-credential-helpers: `get`, the key
on standard input, JSON on standard output).

Invariant: only a program of that name from PATH runs, never what a file or a registry spells as a path; it has a
deadline; its output is never part of a log line or an error, since it may hold the secret.
"""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass

import trio

from agent.content.errors import ShoalError
from agent.origin.credential import Credential
from agent.origin.credential_files import credential_of_helper

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAX_ANSWER_BYTES = 1024 * 1024


class HelperFailed(ShoalError):
    """A credential helper did not answer as helpers do."""


@dataclass(frozen=True, slots=True)
class HelperRunner:
    """`path` is searched for the programs; None is this process's PATH."""

    path: str | None = None
    deadline_seconds: float = 10.0

    async def ask(self, name: str, key: str) -> Credential | None:
        """The credential that helper `name` holds for `key`, None where it holds none. Raises HelperFailed."""
        if not _NAME.fullmatch(name):
            raise HelperFailed(
                f"invalid credential helper name {name[:60]!r}: letters, digits and . _ - are allowed"
            )
        program = shutil.which(f"docker-credential-{name}", path=self.path)
        if program is None:
            raise HelperFailed(f"credential helper docker-credential-{name} is not installed")
        done: subprocess.CompletedProcess[bytes] | None = None
        with trio.move_on_after(self.deadline_seconds):
            try:
                done = await trio.run_process(
                    [program, "get"],
                    stdin=key.encode(),
                    capture_stdout=True,
                    capture_stderr=True,
                    check=False,
                )
            except OSError as error:
                raise HelperFailed(
                    f"credential helper docker-credential-{name} cannot run: {error.strerror}"
                ) from None
        if done is None:
            raise HelperFailed(f"docker-credential-{name} did not answer in {self.deadline_seconds:.0f} s")
        return _read_answer(name, done)


def _read_answer(name: str, done: "subprocess.CompletedProcess[bytes]") -> Credential | None:
    if done.returncode != 0:
        if b"not found" in (done.stdout + done.stderr)[:4096].lower():
            return None
        raise HelperFailed(f"docker-credential-{name} failed with exit code {done.returncode}")
    try:
        raw = json.loads(done.stdout) if len(done.stdout) <= _MAX_ANSWER_BYTES else None
    except (ValueError, RecursionError):
        raw = None
    if not isinstance(raw, dict):
        raise HelperFailed(f"docker-credential-{name} gave no usable answer")
    username, secret = raw.get("Username", ""), raw.get("Secret", "")
    if not isinstance(username, str) or not isinstance(secret, str):
        raise HelperFailed(f"docker-credential-{name} gave no usable answer")
    return credential_of_helper(username, secret) if secret else None
