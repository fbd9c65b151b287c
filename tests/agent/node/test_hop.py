"""Where blocking work goes: what takes a moment is done one at a time, and held up by nothing that takes long."""

import threading

import trio

from agent.node.hop import Hops


async def test_brief_work_is_done_one_at_a_time() -> None:
    hops, never = Hops.of_threads(), threading.Event()
    running: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        running.append(number)
        never.wait(0.001)  # others could run now
        most.append(len(running))
        running.remove(number)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(hops.brief, work, number)
    assert most == [1] * 20


async def test_brief_work_does_not_wait_for_what_takes_long_nor_that_for_it() -> None:
    hops, is_over = Hops.of_threads(), threading.Event()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hops.other, is_over.wait)
            nursery.start_soon(hops.hashing, is_over.wait)
            await hops.brief(is_over.set)
        is_over.clear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hops.brief, is_over.wait)
            await hops.other(is_over.set)
