"""Memory goes back once after each busy time, never during one."""

import trio
import trio.testing

from agent.commands.freed_memory import return_freed_memory


async def test_memory_goes_back_once_work_has_ended(autojump_clock: trio.testing.MockClock) -> None:
    done = 0
    trims = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(return_freed_memory, lambda: done, lambda: trims.append(done))
        await trio.sleep(60)
        assert trims == [0], "what starting took"
        for _ in range(60):
            done += 1
            await trio.sleep(1)
        assert trims == [0], "not while it is busy"
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    assert trims == [0, 60]
