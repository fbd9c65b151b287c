"""A registry that fails in every way: the client gets the right bytes or a clear error, the store holds nothing
wrong.
"""

import random
from pathlib import Path

import pytest
import trio

from agent.content.digest import Digest
from tests.agent.node.cluster import open_cluster
from tests.agent.node.mirror import Fetched, open_mirror
from tests.fakes.upstream import FakeUpstream, Fault, open_upstream

pytestmark = pytest.mark.slow

LAYER = random.Random(7).randbytes(700_000)
DIGEST = Digest.of(LAYER)


async def _fetch(upstream: FakeUpstream, root: Path, fault: Fault, times: int | None) -> Fetched:
    """The layer through a node's mirror while the registry has this fault; checks that nothing wrong was kept."""
    image = upstream.add_image("team/app", layers=[LAYER])
    upstream.faults.add(fault, match=f"/blobs/{DIGEST}", times=times)
    async with open_cluster(upstream, root, 1) as cluster:
        node = cluster.nodes[0]
        async with open_mirror(node) as mirror:
            assert (await mirror.get(f"team/app/manifests/{image.digest}")).status == 200
            fetched = await mirror.get(f"team/app/blobs/{DIGEST}")
        for digest, _ in node.store.complete_digests():
            assert node.store.verify(digest)
        if not fetched.whole or fetched.status != 200:
            assert node.store.size_of(DIGEST) is None
    return fetched


async def _fetch_with_each(faults: dict[str, Fault], root: Path, times: int | None) -> dict[str, Fetched]:
    """Each with a registry and a node of its own, all at once: most of it is waiting."""
    fetched: dict[str, Fetched] = {}

    async def fetch(name: str, fault: Fault) -> None:
        async with open_upstream() as upstream:
            fetched[name] = await _fetch(upstream, root / name.replace(" ", "-"), fault, times)

    async with trio.open_nursery() as nursery:
        for name, fault in faults.items():
            nursery.start_soon(fetch, name, fault)
    return fetched


PASSING = {
    "cut": Fault(cut_after_bytes=100_000),
    "stalls in the middle": Fault(stall_after_bytes=100_000),
    "does not answer": Fault(stall_before_answer=True),
    "500": Fault(status=500),
    "503 with Retry-After": Fault(status=503, retry_after="1"),
    "429 with Retry-After": Fault(status=429, retry_after="1"),
    "429 without": Fault(status=429),
    "another range": Fault(content_range="bytes 5-100/700000"),
    "ignores ranges": Fault(ignore_range=True),
    "wrong bytes": Fault(wrong_bytes=True),
    "short body": Fault(short_by_bytes=1000),
    "empty body": Fault(empty=True),
    "endless body": Fault(endless=True),
    "chunked": Fault(chunked=True),
}


async def test_a_fault_that_passes_costs_the_client_nothing(tmp_path: Path) -> None:
    for name, fetched in (await _fetch_with_each(PASSING, tmp_path, times=1)).items():
        if name == "wrong bytes":
            # what was sent before the whole could be checked is broken off, never completed
            assert not fetched.whole, name
        else:
            assert (fetched.status, fetched.whole) == (200, True), name
            assert fetched.body == LAYER, name


LASTING = {
    "cut": Fault(cut_after_bytes=100),
    "500": Fault(status=500),
    "404": Fault(status=404),
    "401": Fault(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'}),
    "wrong bytes": Fault(wrong_bytes=True),
    "short body": Fault(short_by_bytes=1000),
    "empty body": Fault(empty=True),
}
_CLEAR = {"404": 404, "401": 403, "500": 502}


async def test_a_fault_that_lasts_is_a_clear_error_and_never_a_wrong_byte(tmp_path: Path) -> None:
    for name, fetched in (await _fetch_with_each(LASTING, tmp_path, times=None)).items():
        assert not (fetched.whole and fetched.status == 200), name
        if name in _CLEAR:
            assert fetched.status == _CLEAR[name], name
            assert b'"errors"' in fetched.body, name
