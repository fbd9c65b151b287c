"""A blob that another process takes out of the store (evicted, or found damaged) is seeded no more."""

from pathlib import Path

import pytest
import trio

from agent.content.document import Descriptor
from agent.content.media_types import OCTET_STREAM
from agent.content.reference import Repository
from agent.node.source import Source
from agent.store.store import Store
from tests.agent.node.cluster import REGISTRY, open_cluster
from tests.fakes.upstream import open_upstream


async def test_a_blob_that_a_scrub_removed_is_seeded_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.node.hub._SWEEP_SECONDS", 0.05)
    data = bytes(range(256)) * 4096
    async with open_upstream() as upstream, open_cluster(upstream, tmp_path, 2) as cluster:
        one, two = cluster.nodes
        digest = upstream.shelf.add_blob(data)
        source = Source(Repository(REGISTRY, "library/app"), "blobs")
        for node in (one, two):
            node.store.link(source.repository, Descriptor(OCTET_STREAM, digest, len(data)))
            async with node.blobs.open_download(digest, source, len(data)) as download:
                await download.wait_ended()
                assert download.failure is None
        assert any(session.digest == digest for session in one.hub.sessions)
        blob = one.store.root / "blobs/sha256" / digest.hex
        blob.chmod(0o600)
        with blob.open("r+b") as file:
            file.write(b"altered")
        with Store(one.store.root) as scrubbing:
            assert not scrubbing.verify(digest)
        with trio.fail_after(5):
            while any(session.digest == digest for session in one.hub.sessions):
                await trio.sleep(0.01)
