"""`Inputs`: the files that steps read: which key they have, which content, and where they are on this machine.

A URL without a checksum is fetched to know its key; a git reference, too. Each is fetched once a build.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

from agent.content.errors import InputError, ShoalError
from builder.dockerfile.ignore import IgnorePatterns
from builder.execution.blocking import held_in_threads
from builder.execution.workshop import Workshop
from builder.plan.cache_keys import Selection, layers_key
from builder.plan.layer import Chain
from builder.plan.steps import ContextSource, FileSource, GitSource, ImageSource, StepSource, UrlFile
from builder.sources.context import BuildContext
from builder.sources.git import checkout, is_commit
from builder.sources.url import download


class Inputs:
    """`chain_of`: what a step that is done came to."""

    def __init__(self, shop: Workshop, chain_of: Callable[[int], Chain]) -> None:
        self._shop = shop
        self._chain_of = chain_of
        self._read: dict[Selection, str] = {}
        self._fetched: dict[UrlFile | GitSource, tuple[Path, str]] = {}
        self._fetching: dict[UrlFile | GitSource, trio.Lock] = {}

    async def read_contexts(self, wanted: Iterable[Selection]) -> None:
        """What is selected of contexts is known then, by one hop to a thread, which costs more than a look at some
        files. What fails is told where its step is looked at."""
        of_contexts = [(one.source, one) for one in wanted if isinstance(one.source, ContextSource)]

        def read() -> None:
            with suppress(ShoalError):
                for source, one in of_contexts:
                    self._read[one] = self._digest(self.context(source).root, one)

        if of_contexts:
            await trio.to_thread.run_sync(read)

    async def known_key(self, selection: Selection, key_of: Callable[[int], str]) -> str:
        """Before anything was built. Raises InputError, SourceError, ContentError, DiskError."""
        match selection.source:
            case StepSource(step):
                return key_of(step)
            case ImageSource(layers=layers):
                return layers_key(layers)
            case ContextSource():
                return await self.content(selection)
            case UrlFile(checksum=str(checksum)):
                return checksum
            case GitSource(reference=reference) if is_commit(reference):
                return reference
            case UrlFile() | GitSource() as remote:
                return (await self.fetched(remote))[1]

    async def content(self, selection: Selection) -> str:
        """The digest of the selected files; what they are of is done. Of a context: what was selected at first. Raises
        as known_key does."""
        source = selection.source
        if isinstance(source, UrlFile | GitSource):
            return await self.known_key(selection, lambda _: "")
        if selection in self._read:
            return self._read[selection]
        async with self.opened(source) as root:
            digest = await trio.to_thread.run_sync(self._digest, root, selection)
        if isinstance(source, ContextSource):
            self._read[selection] = digest
        return digest

    async def are_unchanged(self, wanted: Iterable[Selection]) -> bool:
        """Is what is selected of contexts still what was selected at first? People edit files while they build."""
        of_contexts = [(one.source, one) for one in wanted if isinstance(one.source, ContextSource)]

        def look() -> bool:
            with suppress(ShoalError):
                return all(
                    self._read[one] == self._digest(self.context(source).root, one)
                    for source, one in of_contexts
                )
            return False

        return not of_contexts or await trio.to_thread.run_sync(look)

    def _digest(self, root: Path, selection: Selection) -> str:
        """Blocking."""
        is_context = isinstance(selection.source, ContextSource)
        ignore = self.context(selection.source).ignore if is_context else IgnorePatterns()  # type: ignore[arg-type]
        return self._shop.digests.of(root, selection, ignore, is_context=is_context)

    def identity(self, source: FileSource) -> str:
        """Of files that are done, without a look at them; a context is the same one whatever is in it."""
        match source:
            case StepSource(step):
                return layers_key(self._chain_of(step))
            case ImageSource(layers=layers):
                return layers_key(layers)
            case ContextSource(name):
                return f"context {name}"

    def context(self, source: ContextSource) -> BuildContext:
        try:
            return self._shop.contexts[source.name]
        except KeyError:
            raise InputError(
                f"there is no build context {source.name!r}: --build-context gives one"
            ) from None

    @asynccontextmanager
    async def opened(self, source: FileSource) -> AsyncIterator[Path]:
        """Their root directory, not to be written to."""
        match source:
            case ContextSource():
                yield self.context(source).root
            case ImageSource(layers=layers):
                async with held_in_threads(self._shop.snapshots.mounted(layers)) as root:
                    yield root
            case StepSource(step):
                async with held_in_threads(self._shop.snapshots.mounted(self._chain_of(step))) as root:
                    yield root

    async def fetched(self, remote: UrlFile | GitSource) -> tuple[Path, str]:
        """Where it is: the file of a URL, the root of a repository; and its key."""
        async with self._fetching.setdefault(remote, trio.Lock()):
            if remote not in self._fetched:
                if isinstance(remote, UrlFile):
                    self._fetched[remote] = await self._download(remote)
                else:
                    self._fetched[remote] = await self._checkout(remote)
            return self._fetched[remote]

    async def _download(self, remote: UrlFile) -> tuple[Path, str]:
        path = await download(remote, self._shop.area.directory("download"))
        digest = await trio.to_thread.run_sync(self._shop.digests.of_file, path)
        modified = (await trio.Path(path).stat()).st_mtime
        return path, f"{path.name} {int(modified)} {digest}"

    async def _checkout(self, remote: GitSource) -> tuple[Path, str]:
        root = self._shop.area.directory("git")
        return root, await checkout(remote, root, dict(self._shop.environment))
