"""Results from and for other nodes: a fake agent brings what another node's store has under the names of the cluster.

Whatever is wrong with it is a miss, never a failure.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.document import Descriptor, parse_document
from agent.content.errors import AgentError, NotFound
from agent.content.platform import Platform
from agent.content.reference import BUILD_CACHE, Reference
from agent.images.keeping import keep_image
from agent.images.new_image import manifest_body
from agent.node.pull_progress import LayerProgress, OnProgress, PullProgress
from agent.store.store import Store
from agent.wire.vouch import NodeKey
from builder.cache.cluster import EVERY_BUILDER, RESULT_TYPE, ClusterCache, Trust
from builder.cache.record import CachedResult
from builder.plan.layer import Layer

KEY, OTHER = "ab" * 32, "cd" * 32
BODY = b"the layer's bytes"
LAYER = Layer(
    Descriptor(media_types.OCI_LAYER_GZIP, Digest.of(BODY), len(BODY)), Digest.of(b"tar"), 3, "r", None
)
RESULT = CachedResult(KEY, LAYER)
Tamper = Callable[[dict[str, Any]], object]


def key_of(number: int, cluster: str = "shoal") -> NodeKey:
    return NodeKey.from_seed(bytes([number]) * 32, cluster)


@dataclass
class Agent:
    """Brings what is in `theirs` into `ours`. slow: names that never come; dead: no agent."""

    theirs: Store
    ours: Store
    slow: tuple[str, ...] = ()
    dead: bool = False
    told: int = 0

    async def pull(
        self, reference: Reference, platform: Platform | None, on_progress: OnProgress
    ) -> PullProgress:
        assert reference.tag is not None
        if self.dead:
            raise AgentError("no agent")
        tag = self.theirs.find_tag(BUILD_CACHE, reference.tag)
        if reference.tag in self.slow:
            await trio.sleep_forever()
        if tag is None:
            raise NotFound("nobody has it")
        root = self.theirs.read(tag.descriptor.digest, 1 << 20)
        assert root is not None
        document = parse_document(root)
        for part in document.children:
            body = self.theirs.read(part.digest, 1 << 20)
            if body is None:
                raise NotFound("a part is nowhere")
            if part.digest == LAYER.blob.digest:
                await self._bring(part, reference, on_progress)
            self.ours.put(part.digest, body)
        self.ours.put(tag.descriptor.digest, root)
        keep_image(self.ours, tag.descriptor, reference, 0.0)
        return PullProgress(reference)

    async def _bring(self, part: Descriptor, reference: Reference, on_progress: OnProgress) -> None:
        """On a bad link: far slower than a record may be, but something comes all the time."""
        for done in range(1, part.size + 1):
            await trio.sleep(9)
            on_progress(
                PullProgress(reference, layers=(LayerProgress(part.digest, part.size, done_bytes=done),))
            )

    async def names_changed(self) -> None:
        self.told += 1
        if self.dead:
            raise AgentError("no agent")


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    with (
        Store(tmp_path / "theirs") as theirs,
        Store(tmp_path / "ours") as ours,
        theirs.holding([LAYER.blob.digest]),
    ):
        theirs.put(LAYER.blob.digest, BODY)
        yield theirs, ours


async def published(theirs: Store, result: CachedResult, cluster: str = "shoal") -> None:
    """By node 1."""
    agent = Agent(theirs, theirs)
    await ClusterCache(agent, theirs, Trust(key_of(1, cluster), cluster)).publish([result])
    assert agent.told == 1


def ours_of(agent: Agent, *builders: str) -> ClusterCache:
    """Of node 2."""
    return ClusterCache(agent, agent.ours, Trust(key_of(2), "shoal", builders))


@pytest.mark.parametrize("builders", [(EVERY_BUILDER,), (key_of(1).node.hex(),)])
async def test_a_trusted_node_s_result_is_taken_with_its_layer_however_slow_that_comes(
    stores: tuple[Store, Store], autojump_clock: MockClock, builders: tuple[str, ...]
) -> None:
    theirs, ours = stores
    await published(theirs, RESULT)
    with ours.holding([LAYER.blob.digest]):
        assert await ours_of(Agent(theirs, ours), *builders).find(KEY) == RESULT
        assert ours.read(LAYER.blob.digest, 100) == BODY


async def test_that_a_step_changed_nothing_is_a_result_too(
    stores: tuple[Store, Store], autojump_clock: MockClock
) -> None:
    theirs, ours = stores
    await published(theirs, CachedResult(KEY, None))
    assert await ours_of(Agent(theirs, ours), EVERY_BUILDER).find(KEY) == CachedResult(KEY, None)


@pytest.mark.parametrize("builders", [(), (key_of(3).node.hex(),)])
async def test_nothing_is_taken_of_whom_nobody_trusts(
    stores: tuple[Store, Store], autojump_clock: MockClock, builders: tuple[str, ...]
) -> None:
    theirs, ours = stores
    await published(theirs, RESULT)
    assert await ours_of(Agent(theirs, ours), *builders).find(KEY) is None
    assert ours.size_of(LAYER.blob.digest) is None  # not even fetched


async def test_another_cluster_s_result_is_none(
    stores: tuple[Store, Store], autojump_clock: MockClock
) -> None:
    theirs, ours = stores
    await published(theirs, RESULT, cluster="elsewhere")
    assert await ours_of(Agent(theirs, ours), EVERY_BUILDER).find(KEY) is None


def tampered(theirs: Store, change: Tamper, tag: str = KEY) -> None:
    """The record under `tag` is another one."""
    found = theirs.find_tag(BUILD_CACHE, KEY)
    assert found is not None
    document = parse_document(theirs.read(found.descriptor.digest, 1 << 20) or b"")
    assert document.config is not None
    told = json.loads(theirs.read(document.config.digest, 1 << 20) or b"")
    change(told)
    body = json.dumps(told).encode()
    record = Descriptor(RESULT_TYPE, Digest.of(body), len(body))
    manifest = manifest_body(record, [])
    root = Descriptor(media_types.OCI_MANIFEST, Digest.of(manifest), len(manifest))
    with theirs.holding([record.digest, root.digest]):
        theirs.put(record.digest, body)
        theirs.put(root.digest, manifest)
        keep_image(theirs, root, Reference(BUILD_CACHE, tag, None), 1.0)


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["result"].update(digest=str(Digest.of(b"evil"))),
        lambda told: told["result"].update(diff_id=str(Digest.of(b"evil"))),
        lambda told: told["result"].update(size=3),
        lambda told: told.update(node=key_of(2).node.hex()),
        lambda told: told.update(signature="00" * 64),
        lambda told: told.update(signature="zz"),
        lambda told: told.pop("result"),
        lambda told: told.update(result=[]),
        lambda told: told.update(node=7),
    ],
)
async def test_a_record_that_was_changed_is_no_result(
    stores: tuple[Store, Store], autojump_clock: MockClock, change: Tamper
) -> None:
    theirs, ours = stores
    await published(theirs, RESULT)
    tampered(theirs, change)
    assert await ours_of(Agent(theirs, ours), EVERY_BUILDER).find(KEY) is None


async def test_a_true_record_under_another_key_is_no_result(
    stores: tuple[Store, Store], autojump_clock: MockClock
) -> None:
    theirs, ours = stores
    await published(theirs, RESULT)
    tampered(theirs, lambda _: None, tag=OTHER)
    assert await ours_of(Agent(theirs, ours), EVERY_BUILDER).find(OTHER) is None


async def test_a_layer_that_nobody_has_or_that_is_another_one_is_a_miss(
    stores: tuple[Store, Store], autojump_clock: MockClock
) -> None:
    theirs, ours = stores
    await published(theirs, RESULT)
    theirs.remove_tag(BUILD_CACHE, f"{KEY}.layer")
    assert await ours_of(Agent(theirs, ours), EVERY_BUILDER).find(KEY) is None
    larger = replace(LAYER, blob=replace(LAYER.blob, size=LAYER.blob.size + 1))
    await published(theirs, CachedResult(OTHER, larger))
    with ours.holding([LAYER.blob.digest]):
        ours.put(LAYER.blob.digest, BODY)
        assert await ours_of(Agent(theirs, ours), EVERY_BUILDER).find(OTHER) is None


@pytest.mark.parametrize(("slow", "seconds"), [(KEY, 3.0), (f"{KEY}.layer", 10.0)])
async def test_who_does_not_answer_is_not_waited_for(
    stores: tuple[Store, Store], autojump_clock: MockClock, slow: str, seconds: float
) -> None:
    theirs, ours = stores
    await published(theirs, RESULT)
    began = trio.current_time()
    assert await ours_of(Agent(theirs, ours, slow=(slow,)), EVERY_BUILDER).find(KEY) is None
    assert trio.current_time() - began == pytest.approx(seconds)


async def test_without_an_agent_nothing_is_found_and_nothing_fails(
    stores: tuple[Store, Store], autojump_clock: MockClock
) -> None:
    theirs, _ = stores
    cache = ours_of(Agent(theirs, theirs, dead=True), EVERY_BUILDER)
    assert await cache.find(KEY) is None
    await cache.publish([RESULT])


async def test_a_name_that_leads_to_something_giant_is_left(
    stores: tuple[Store, Store], autojump_clock: MockClock
) -> None:
    theirs, ours = stores
    await published(theirs, RESULT)
    begun: list[int] = []

    class Giant(Agent):
        async def _bring(self, part: Descriptor, reference: Reference, on_progress: OnProgress) -> None:
            for done in range(1, 1000):
                begun.append(done)
                on_progress(
                    PullProgress(reference, layers=(LayerProgress(part.digest, 1 << 40, done_bytes=done),))
                )
                await trio.sleep(1)

    assert await ours_of(Giant(theirs, ours), EVERY_BUILDER).find(KEY) is None
    assert begun == [1]
