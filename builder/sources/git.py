"""`checkout`: a git repository at a reference, as files: for `ADD git` and for a build context from git.

The `git` command does it, without a shell, asking nobody, and with the transports that fetch from elsewhere alone. A
reference is a branch, a tag, `refs/...`, or a full commit; submodules come along (BuildKit's source/git does the same).
"""

import re
import shutil
from pathlib import Path

import trio

from agent.content.errors import InputError, SourceError
from agent.content.redaction import redact
from builder.plan.steps import GitSource

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REFERENCE = re.compile(r"[A-Za-z0-9_./+@-]{1,250}")
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file",
    "LC_ALL": "C",
}


async def checkout(source: GitSource, directory: Path, environment: dict[str, str]) -> str:
    """Into `directory`, which is empty; the commit. `environment`: PATH, HOME, SSH_AUTH_SOCK and so on of the caller.

    The files are at the root of `directory`, the whole repository even where a subdirectory is meant.
    Raises InputError for a malformed reference, SourceError.
    """
    reference = source.reference or "HEAD"
    if not _REFERENCE.fullmatch(reference) or reference.startswith("-") or source.url.startswith("-"):
        raise InputError(f"{source.url}#{reference[:100]}: this is no reference of a git repository")
    git = _Git(directory, {**environment, **_ENVIRONMENT}, source.url)
    await git.run("init", "--quiet")
    await git.run("remote", "add", "origin", source.url)
    if _COMMIT.fullmatch(reference):
        await git.fetch_commit(reference)
    else:
        await git.run("fetch", "--quiet", "--depth", "1", "--no-tags", "origin", reference)
    await git.run("-c", "advice.detachedHead=false", "checkout", "--quiet", "FETCH_HEAD")
    commit = (await git.run("rev-parse", "HEAD")).strip()
    _check_commit(source, commit)
    if source.submodules and (directory / ".gitmodules").exists():
        await git.run("submodule", "update", "--init", "--recursive", "--depth=1", "--quiet")
    if not source.keep_git_dir:
        await trio.to_thread.run_sync(remove_git_directories, directory)
    return commit


async def commit_time(directory: Path, environment: dict[str, str]) -> int:
    """Of what was checked out here with its git directory: seconds since 1970. Raises SourceError."""
    git = _Git(directory, {**environment, **_ENVIRONMENT}, str(directory))
    return int(await git.run("log", "-1", "--format=%ct"))


def _check_commit(source: GitSource, commit: str) -> None:
    """Raises SourceError where the commit is not the one that was asked for."""
    if source.checksum is not None and not commit.startswith(source.checksum):
        raise SourceError(f"{source.url}: expected the commit {source.checksum}, got {commit}")


def remove_git_directories(directory: Path) -> None:
    for found in [*directory.rglob(".git")]:
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found)
        else:
            found.unlink(missing_ok=True)


class _Git:
    def __init__(self, directory: Path, environment: dict[str, str], url: str) -> None:
        self._directory = directory
        self._environment = environment
        self._url = url

    async def fetch_commit(self, commit: str) -> None:
        """Not every server gives a commit by its name: then the history is fetched, which has it."""
        try:
            await self.run("fetch", "--quiet", "--depth", "1", "--no-tags", "origin", commit)
        except SourceError:
            await self.run("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*", "--tags")
            await self.run("update-ref", "FETCH_HEAD", commit)

    async def run(self, *arguments: str) -> str:
        try:
            done = await trio.run_process(
                ["git", "-c", "protocol.ext.allow=never", *arguments],
                cwd=self._directory,
                env=self._environment,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
        except FileNotFoundError:
            raise InputError(
                "a git repository is read by the `git` command, which is not installed"
            ) from None
        if done.returncode:
            told = complaint(done.stderr.decode("utf-8", "replace")) or f"exit status {done.returncode}"
            raise SourceError(f"git {arguments[0]} of {redact(self._url)}: {redact(told[:300])}")
        return done.stdout.decode("utf-8", "replace")


def complaint(text: str) -> str:
    """What git says is wrong, and what ssh said before it; else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = [number for number, line in enumerate(lines) if line.startswith("fatal: ")]
    return " ".join(lines[max(0, fatal[0] - 1) : fatal[0] + 1]) if fatal else "".join(lines[-1:])


def is_commit(reference: str) -> bool:
    """In full: it is always the same files."""
    return _COMMIT.fullmatch(reference) is not None
