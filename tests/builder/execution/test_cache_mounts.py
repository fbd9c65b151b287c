"""Cache mounts: who gets which directory, when it is whole, and when it goes."""

import os
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from builder.execution.cache_mounts import fill, prune_cache_mounts, take
from builder.plan.steps import CacheMount, ContextSource


def mount(sharing: str = "shared", key: str = "go", mode: int = 0o755) -> CacheMount:
    return CacheMount("/cache", key, sharing=sharing, mode=mode, uid=os.getuid(), gid=os.getgid())


async def test_a_shared_one_is_the_same_for_all(tmp_path: Path) -> None:
    assert (await take(tmp_path, mount()))[0] == (await take(tmp_path, mount()))[0]
    assert (await take(tmp_path, mount(key="other")))[0] != (await take(tmp_path, mount()))[0]


async def test_a_private_one_is_nobody_else_s_and_is_used_again(tmp_path: Path) -> None:
    first, lock = await take(tmp_path, mount("private"))
    second, _ = await take(tmp_path, mount("private"))
    assert first != second
    os.close(lock)
    assert (await take(tmp_path, mount("private")))[0] == first


async def test_a_locked_one_is_waited_for_and_the_wait_can_be_ended(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    path, lock = await take(tmp_path, mount("locked"))
    with trio.move_on_after(60) as waiting:
        await take(tmp_path, mount("locked"))
    assert waiting.cancelled_caught
    async with trio.open_nursery() as nursery:
        got: list[Path] = []

        async def wait() -> None:
            got.append((await take(tmp_path, mount("locked")))[0])

        nursery.start_soon(wait)
        await trio.sleep(5)
        assert got == []
        os.close(lock)
    assert got == [path]


async def test_content_survives_and_a_new_one_is_as_it_was_asked_for(tmp_path: Path) -> None:
    path, lock = await take(tmp_path / "mounts", mount(mode=0o1770))
    fill(path, mount(mode=0o1770), None)
    assert path.stat().st_mode & 0o7777 == 0o1770
    (path / "kept").write_text("kept")
    os.close(lock)
    again, _ = await take(tmp_path / "mounts", mount(mode=0o1770))
    fill(again, mount(mode=0o1770), None)
    assert (again / "kept").read_text() == "kept"


async def test_one_that_is_to_begin_with_something_else_is_another_one(tmp_path: Path) -> None:
    ways = [(mount(), ""), (mount(mode=0o700), ""), (mount(), "files"), (mount(), "other files")]
    assert len({(await take(tmp_path, one, begins))[0] for one, begins in ways}) == len(ways)


@pytest.mark.skipif(os.getuid() != 0, reason="owners are root's to give")
async def test_it_begins_with_what_its_source_has(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub/a").write_text("A")
    os.chown(source / "sub/a", 5, 6)
    for one, owner in ((CacheMount("/c", "image"), 5), (CacheMount("/c", "context", ContextSource()), 0)):
        path, _ = await take(tmp_path / "mounts", one)
        fill(path, one, source)
        assert (path / "sub/a").read_text() == "A"
        assert (path / "sub/a").stat().st_uid == owner


async def test_what_nobody_uses_can_go_and_what_is_used_stays(tmp_path: Path) -> None:
    idle, idle_lock = await take(tmp_path, mount(key="idle"))
    used, _ = await take(tmp_path, mount(key="used"))
    for path in (idle, used):
        fill(path, mount(), None)
        (path / "file").write_bytes(b"x" * 10_000)
    os.close(idle_lock)
    assert prune_cache_mounts(tmp_path, 3600.0).count == 0
    pruned = prune_cache_mounts(tmp_path, 0.0)
    assert pruned.count == 1
    assert pruned.size_bytes >= 10_000
    assert not idle.exists()
    assert (used / "file").exists()
    assert prune_cache_mounts(tmp_path / "nowhere", 0.0).count == 0
