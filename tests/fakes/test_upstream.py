"""The fake registry itself: it takes pushes, runs as a process, and shapes its uplink."""

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from agent.content.digest import Digest
from agent.content.reference import Repository
from agent.origin.origin import open_origin
from agent.origin.upstream import Upstream
from tests.agent.origin.reading import receive
from tests.fakes.images import Layer, make_image, random_layer
from tests.fakes.publish import push_image
from tests.fakes.upstream import FakeUpstream, open_upstream


def small_layer() -> Layer:
    return random_layer("a layer", 300_000)


async def read_blob(upstream: FakeUpstream, digest: Digest) -> bytes:
    repository = Repository.of(upstream.host, "team/app")
    async with (
        open_origin([Upstream(upstream.host, upstream.url)]) as origin,
        origin.open_content(repository, digest) as reader,
    ):
        parts = []
        while part := await receive(reader):
            parts.append(part)
        return b"".join(parts)


@pytest.mark.parametrize("on_disk", [False, True])
async def test_an_image_that_was_pushed_can_be_pulled(tmp_path: Path, on_disk: bool) -> None:
    image = make_image([small_layer()])
    async with open_upstream(directory=tmp_path if on_disk else None) as upstream:
        await push_image(image, upstream.url, "team/app", "latest")
        found = upstream.shelf.find_manifest("team/app", "latest")
        assert found is not None
        assert found[0] == str(image.manifest.digest)
        for blob in image.blobs:
            assert Digest.of(await read_blob(upstream, blob.digest)) == blob.digest
    assert len(list(tmp_path.iterdir())) == (len({blob.digest for blob in image.blobs}) if on_disk else 0)


@pytest.fixture
def quiet_clock() -> trio.testing.MockClock:
    """Jumps once the sockets have been quiet for a moment."""
    return trio.testing.MockClock(autojump_threshold=0.01)


async def test_the_uplink_is_shared_by_all_who_read(quiet_clock: object) -> None:
    async with open_upstream() as upstream:
        digest = upstream.shelf.add_blob(bytes(100_000))
        upstream.bytes_per_second = 1_000_000
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(read_blob, upstream, digest)
        assert 0.19 <= trio.current_time() - started < 2


async def test_it_runs_as_a_process_and_logs_its_requests(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-m", "tests.fakes.upstream", "--image-mb", "1", "--log", str(log)]
    root = Path(__file__).parents[2]
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(trio.run_process, command, stdout=subprocess.PIPE, cwd=root)
        )
        assert process.stdout is not None
        line = b""
        with trio.fail_after(20):
            while not line.endswith(b"\n"):
                line += await process.stdout.receive_some()
        ready = json.loads(line)
        registry = ready["url"].partition("//")[2]
        async with open_origin([Upstream(registry, ready["url"])]) as origin:
            told = await origin.head_manifest(Repository.of(registry, ready["image"]["repository"]), "latest")
            assert str(told.digest) == ready["image"]["digest"]
        process.send_signal(signal.SIGTERM)
    (entry,) = [json.loads(text) for text in log.read_text().splitlines()]
    assert (entry["method"], entry["status"]) == ("HEAD", 200)
