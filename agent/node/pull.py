"""`Pull`: one whole image into this node's store, with what a progress view wants to know."""

import platform as machine

import trio

from agent.content.digest import Digest
from agent.content.document import Descriptor, Document
from agent.content.errors import ContentError, NotFound, ShoalError
from agent.content.platform import Platform
from agent.content.reference import Reference
from agent.node.blobs import Blobs
from agent.node.images import Images
from agent.node.pull_progress import LayerProgress, OnProgress, PullProgress
from agent.node.source import Source
from agent.store.store import Store

_TICK_SECONDS = 0.1


class Puller:
    def __init__(self, store: Store, images: Images, blobs: Blobs) -> None:
        self._store = store
        self._images = images
        self._blobs = blobs

    async def pull(
        self, reference: Reference, platform: Platform | None, on_progress: OnProgress
    ) -> PullProgress:
        """All of the image that runs on `platform` (None: this machine's). Raises ShoalError."""
        progress = PullProgress(reference)
        wanted = platform or Platform.of_machine(machine.machine())
        digest, known = reference.digest, reference.digest
        if digest is None:
            tag = reference.tag or "latest"
            record = self._store.find_tag(reference.repository, tag)
            known = None if record is None else record.descriptor.digest
            resolved = await self._images.resolve(reference.repository, tag)
            digest, progress.stale = resolved.descriptor.digest, resolved.stale
        progress.digest = digest
        documents, blobs = await self._documents(reference, digest, wanted)
        progress.was_here = digest == known and all(
            self._store.size_of(blob.digest) is not None for blob in blobs
        )
        progress.layers = tuple(LayerProgress(blob.digest, blob.size) for blob in blobs)
        on_progress(progress)
        with self._store.holding([*documents, *(blob.digest for blob in blobs)]):
            await self._fetch(reference, progress, on_progress)
        return progress

    async def pull_everything(self, reference: Reference) -> None:
        """All that a reference leads to, of an index every platform and what else it names. Raises ShoalError."""
        digest = reference.digest
        if digest is None:
            resolved = await self._images.resolve(reference.repository, reference.tag or "latest")
            digest = resolved.descriptor.digest
        with self._store.holding([digest]):
            await self._fetch_beneath(reference, digest)

    async def _fetch_beneath(self, reference: Reference, digest: Digest) -> None:
        _, document = await self._images.load_document(reference.repository, digest)
        for child in document.manifests:
            await self._fetch_beneath(reference, child.digest)
        source = Source(reference.repository, "blobs")
        for blob in () if document.is_index else document.children:
            if self._store.size_of(blob.digest) is None:
                async with self._blobs.open_download(blob.digest, source, blob.size) as download:
                    await download.wait_ended()
                if download.failure is not None:
                    raise download.failure

    async def _documents(
        self, reference: Reference, digest: Digest, platform: Platform
    ) -> tuple[list[Digest], list[Descriptor]]:
        """The documents down to the platform's manifest, and the blobs that it names (each once)."""
        _, document = await self._images.load_document(reference.repository, digest)
        digests = [digest]
        if document.is_index:
            chosen = _pick(document, platform, reference)
            digests.append(chosen.digest)
            _, document = await self._images.load_document(reference.repository, chosen.digest)
            if document.is_index:
                raise ContentError(f"{reference} is an index of indexes")
        return digests, list({child.digest: child for child in document.children}.values())

    async def _fetch(self, reference: Reference, progress: PullProgress, on_progress: OnProgress) -> None:
        failures: list[ShoalError] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_tick, progress, on_progress)
            async with trio.open_nursery() as layers:
                for layer in progress.layers:
                    layers.start_soon(self._fetch_layer, reference, layer, failures, layers.cancel_scope)
            nursery.cancel_scope.cancel()
        on_progress(progress)
        if failures:
            raise failures[0]

    async def _fetch_layer(
        self, reference: Reference, layer: LayerProgress, failures: list[ShoalError], scope: trio.CancelScope
    ) -> None:
        """The first failure ends the others."""
        try:
            await self._download(reference, layer)
        except ShoalError as error:
            layer.state = "failed"
            failures.append(error)
            scope.cancel()

    async def _download(self, reference: Reference, layer: LayerProgress) -> None:
        """Raises ShoalError."""
        if self._store.size_of(layer.digest) is not None:
            layer.state, layer.done_bytes = "here", layer.size
            return
        source = Source(reference.repository, "blobs")
        async with self._blobs.open_download(layer.digest, source, layer.size) as download:
            layer.state = "downloading"
            while not download.has_ended:
                tally = download.tally
                layer.registry_bytes, layer.peer_bytes = tally.registry, tally.peers
                layer.done_bytes = min(tally.registry + tally.peers + tally.resumed, layer.size)
                await download.wait_progress()
            layer.registry_bytes, layer.peer_bytes = download.tally.registry, download.tally.peers
            if download.failure is None and self._store.size_of(layer.digest) is not None:
                layer.state, layer.done_bytes = "done", layer.size
                return
        raise download.failure or ContentError(f"the download of {layer.digest} was stopped")


async def _tick(progress: PullProgress, on_progress: OnProgress) -> None:
    while True:
        await trio.sleep(_TICK_SECONDS)
        on_progress(progress)


def _pick(index: Document, platform: Platform, reference: Reference) -> Descriptor:
    chosen = index.pick(platform)
    if chosen is None:
        offered = (
            ", ".join(sorted({str(entry.platform) for entry in index.manifests if entry.platform})) or "none"
        )
        raise NotFound(f"{reference} has no image for {platform}; it offers {offered}")
    return chosen
