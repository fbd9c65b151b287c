"""`ClusterCache`: results of steps that other nodes made, and telling them of ours.

A result is two tags of the cluster's own repository `build-cache`, so that names, swarm and announcements are the ones
that images have: `<key>` is a record of a few hundred bytes, signed by the builder's node; `<key>.layer` the layer. The
record is fetched first: nothing more is, unless it is signed by a node that the configuration trusts, for this key and
this cluster (threat 29). Whatever fails, or takes too long, is a miss and never a failed build.
"""

import json
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import trio

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.document import Descriptor, parse_document
from agent.content.errors import ContentError, ShoalError
from agent.content.platform import Platform
from agent.content.reference import BUILD_CACHE, Reference
from agent.images.keeping import link_documents
from agent.images.new_image import manifest_body
from agent.node.pull_progress import OnProgress, PullProgress
from agent.store.store import Store
from agent.wire.node_id import NodeId
from agent.wire.vouch import NodeKey, is_signed_by
from builder.cache.record import CachedResult, parse_result

RESULT_TYPE = "application/vnd.shoal.build.result.v1+json"
EVERY_BUILDER = "*"
_RECORD_SECONDS = 3.0
_SILENCE_SECONDS = 10.0
_MAX_RECORD_BYTES = 64 * 1024
_MAX_DOCUMENT_BYTES = 64 * 1024


class Cluster(Protocol):
    """The agent of this machine."""

    async def pull(
        self, reference: Reference, platform: Platform | None, on_progress: OnProgress
    ) -> PullProgress: ...

    async def names_changed(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Trust:
    """Who signs here, and whose word counts: node ids as hex, or EVERY_BUILDER. Our own always does."""

    key: NodeKey
    cluster: str
    builders: Collection[str] = ()

    def accepts(self, node: NodeId) -> bool:
        return node == self.key.node or EVERY_BUILDER in self.builders or node.hex() in self.builders


class ClusterCache:
    def __init__(self, cluster: Cluster, store: Store, trust: Trust) -> None:
        self._cluster = cluster
        self._store = store
        self._trust = trust

    async def find(self, key: str) -> CachedResult | None:
        """Its layer is in the store then. None where nobody trusted has it, or it does not come. Raises DiskError."""
        record = await self._record(key)
        if record is None or record.layer is None:
            return record
        blob = record.layer.blob
        if self._store.size_of(blob.digest) is None:
            await self._pull(f"{key}.layer", None, blob.size + _MAX_RECORD_BYTES)
        return record if self._store.size_of(blob.digest) == blob.size else None

    async def publish(self, results: Iterable[CachedResult]) -> None:
        """Their layers are in the store. That nobody can be told is no failure. Raises DiskError."""
        await trio.to_thread.run_sync(self._keep, list(results))
        try:
            await self._cluster.names_changed()
        except ShoalError:
            pass  # told at the next chance

    # --- asking -------------------------------------------------------------------------------------------------

    async def _record(self, key: str) -> CachedResult | None:
        if not await self._pull(key, _RECORD_SECONDS, _MAX_RECORD_BYTES):
            return None
        tag = self._store.find_tag(BUILD_CACHE, key)
        try:
            return None if tag is None else self._verified(tag.descriptor.digest, key)
        except ContentError:
            return None

    async def _pull(self, tag: str, within_seconds: float | None, most_bytes: int) -> bool:
        """within_seconds None: as long as bytes come. What a name leads to is anybody's word: it may be giant."""
        done, silence = False, trio.CancelScope(deadline=trio.current_time() + _SILENCE_SECONDS)
        had = 0

        def on_progress(progress: PullProgress) -> None:
            nonlocal had
            if sum(layer.size for layer in progress.layers) > most_bytes:
                silence.cancel()
            have = sum(layer.done_bytes for layer in progress.layers)
            if have > had:
                had, silence.deadline = have, trio.current_time() + _SILENCE_SECONDS

        with trio.move_on_after(within_seconds or float("inf")), silence:
            try:
                await self._cluster.pull(Reference(BUILD_CACHE, tag, None), None, on_progress)
                done = True
            except ShoalError:
                pass
        return done

    def _verified(self, manifest: Digest, key: str) -> CachedResult:
        """Raises ContentError for what is malformed, not signed, of somebody who is not trusted, or of another key."""
        document = parse_document(self._small(manifest, _MAX_DOCUMENT_BYTES))
        if document.config is None or document.config.media_type != RESULT_TYPE:
            raise ContentError("this is no build result")
        try:
            told = json.loads(self._small(document.config.digest, _MAX_RECORD_BYTES))
            node, signature = NodeId(bytes.fromhex(told["node"])), bytes.fromhex(told["signature"])
            result = parse_result(told["result"])
        except (ValueError, KeyError, TypeError):
            raise ContentError("build result is malformed") from None
        if result.key != key or not self._trust.accepts(node):
            raise ContentError("build result of another step, or of a builder that is not trusted")
        if not is_signed_by(node, result.statement(self._trust.cluster), signature):
            raise ContentError("build result is not signed by its builder")
        return result

    def _small(self, digest: Digest, limit_bytes: int) -> bytes:
        body = self._store.read(digest, limit_bytes)
        if body is None:
            raise ContentError(f"{digest} is not in the store")
        return body

    # --- telling ------------------------------------------------------------------------------------------------

    def _keep(self, results: list[CachedResult]) -> None:
        for result in results:
            record = _descriptor(RESULT_TYPE, self._signed(result))
            self._put_tag(result.key, record, self._signed(result), [])
            if result.layer is not None:
                self._put_tag(f"{result.key}.layer", record, self._signed(result), [result.layer.blob])

    def _put_tag(self, tag: str, config: Descriptor, body: bytes, layers: list[Descriptor]) -> None:
        manifest = manifest_body(config, layers)
        root = _descriptor(media_types.OCI_MANIFEST, manifest)
        with self._store.holding([config.digest, root.digest]):
            self._store.put(config.digest, body)
            self._store.put(root.digest, manifest)
            link_documents(self._store, BUILD_CACHE, root)
            self._store.put_tag(BUILD_CACHE, tag, root, time.time())

    def _signed(self, result: CachedResult) -> bytes:
        statement = result.statement(self._trust.cluster)
        told: dict[str, Any] = {
            "result": result.as_json(),
            "node": self._trust.key.node.hex(),
            "signature": self._trust.key.sign(statement).hex(),
        }
        return json.dumps(told, separators=(",", ":"), sort_keys=True).encode()


def _descriptor(media_type: str, body: bytes) -> Descriptor:
    return Descriptor(media_type, Digest.of(body), len(body))
