"""A registry that fails in every way: the client gets the right bytes or a clear error, the store holds nothing
wrong.
"""

import random
from pathlib import Path

import pytest

from agent.content.digest import Digest
from tests.agent.node.cluster import open_cluster
from tests.agent.node.mirror import Fetched, open_mirror
from tests.fakes.upstream import FakeUpstream, Fault, open_upstream

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


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
async def test_a_fault_that_passes_costs_the_client_nothing(tmp_path: Path, fault: Fault) -> None:
    async with open_upstream() as upstream:
        fetched = await _fetch(upstream, tmp_path, fault, times=1)
    if fault.wrong_bytes:
        # what was sent before the whole could be checked is broken off, never completed
        assert not fetched.whole
    else:
        assert (fetched.status, fetched.whole) == (200, True)
        assert fetched.body == LAYER


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


@pytest.mark.parametrize("name", LASTING)
async def test_a_fault_that_lasts_is_a_clear_error_and_never_a_wrong_byte(tmp_path: Path, name: str) -> None:
    async with open_upstream() as upstream:
        fetched = await _fetch(upstream, tmp_path, LASTING[name], times=None)
    assert not (fetched.whole and fetched.status == 200)
    if name in _CLEAR:
        assert fetched.status == _CLEAR[name]
        assert b'"errors"' in fetched.body
