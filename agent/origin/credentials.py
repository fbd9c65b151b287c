"""`CredentialStore`: this node's credentials for registries, from where Docker and podman keep them.

In order: what the configuration names, DOCKER_AUTH_CONFIG, REGISTRY_AUTH_FILE, podman's auth.json, Docker's
config.json; the first that has something for a repository decides. Files are read again when they change, so `docker
login` takes effect at once. A helper's answer is kept for a few minutes, one question in flight a key: a helper may
cost a second. A broken file or helper is logged and counts as having nothing: public images must still come.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trio

from agent.content.errors import InputError, ShoalError
from agent.content.reference import Repository
from agent.origin.credential import Credential
from agent.origin.credential_files import CredentialFile, helper_key
from agent.origin.credential_helpers import HelperRunner
from agent.telemetry.logs import get_log

_log = get_log("shoal.origin")
_HELPER_ANSWER_SECONDS = 300.0
_MAX_FILE_BYTES = 1024 * 1024
_Stamp = tuple[int, int, int]


@dataclass(slots=True)
class _WatchedFile:
    path: Path
    stamp: _Stamp | None = None
    content: CredentialFile = field(default_factory=CredentialFile)

    def read(self) -> CredentialFile:
        """The file as it is now; empty where there is none."""
        try:
            status = self.path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self.stamp:
                self.content, self.stamp = CredentialFile(), stamp
                with self.path.open("rb") as file:
                    self.content = CredentialFile.parse(file.read(_MAX_FILE_BYTES))
        except FileNotFoundError:
            self.content, self.stamp = CredentialFile(), None
        except NotADirectoryError:
            self.content, self.stamp = CredentialFile(), None
        except OSError as error:
            self.content = CredentialFile()
            _log.warning("credentials file cannot be read", path=self.path, reason=error.strerror)
        except InputError as error:
            _log.warning("credentials file is ignored", path=self.path, reason=error)
        return self.content


@dataclass(slots=True)
class _HelperAnswer:
    lock: trio.Lock = field(default_factory=trio.Lock)
    credential: Credential | None = None
    expires_at: float = float("-inf")


class CredentialStore:
    """`find` is all that others need. Without arguments it knows nothing: everything is anonymous."""

    def __init__(
        self, files: Sequence[Path] = (), inline: str | None = None, helpers: HelperRunner | None = None
    ) -> None:
        self._files = [_WatchedFile(path) for path in files]
        self._helpers = helpers or HelperRunner()
        self._answers: dict[tuple[str, str], _HelperAnswer] = {}
        self._inline = CredentialFile()
        if inline:
            try:
                self._inline = CredentialFile.parse(inline)
            except InputError as error:
                _log.warning("DOCKER_AUTH_CONFIG is ignored", reason=error)

    @classmethod
    def of_machine(
        cls,
        files: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
        user_id: int | None = None,
    ) -> "CredentialStore":
        """Where Docker and podman keep them for this user, after the given files."""
        variables = os.environ if environment is None else environment
        places = [*files, *usual_files(variables, os.getuid() if user_id is None else user_id)]
        return cls(places, variables.get("DOCKER_AUTH_CONFIG"), HelperRunner(variables.get("PATH")))

    async def find(self, repository: Repository) -> Credential | None:
        """The credential for a repository, None where there is none. Never raises because of a broken source."""
        for source in [self._inline, *(file.read() for file in self._files)]:
            helper = source.helper_for(repository)
            credential = await self._ask(helper, helper_key(repository.registry)) if helper else None
            credential = credential or source.find(repository)
            if credential:
                return credential
        return None

    def forget_answers(self, registry: str) -> None:
        """The registry refused what was given: ask its helper anew next time."""
        for (_, key), answer in self._answers.items():
            if key == helper_key(registry):
                answer.expires_at = float("-inf")

    async def _ask(self, helper: str, key: str) -> Credential | None:
        answer = self._answers.setdefault((helper, key), _HelperAnswer())
        async with answer.lock:
            if trio.current_time() >= answer.expires_at:
                try:
                    answer.credential = await self._helpers.ask(helper, key)
                except ShoalError as error:
                    answer.credential = None
                    _log.warning("credential helper failed", reason=error)
                answer.expires_at = trio.current_time() + _HELPER_ANSWER_SECONDS
            return answer.credential


def usual_files(environment: Mapping[str, str], user_id: int) -> list[Path]:
    """Where podman and Docker look, in the order of podman's documentation (containers-auth.json(5)), then Docker's."""
    home = Path(environment.get("HOME") or "/root")
    runtime = environment.get("XDG_RUNTIME_DIR")
    places = [Path(environment["REGISTRY_AUTH_FILE"])] if environment.get("REGISTRY_AUTH_FILE") else []
    places.append(
        Path(runtime) / "containers/auth.json" if runtime else Path(f"/run/containers/{user_id}/auth.json")
    )
    places.append(Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "containers/auth.json")
    places.append(Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json")
    return places
