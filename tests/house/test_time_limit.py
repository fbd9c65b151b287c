"""A test that takes too long is interrupted, cleans up, and does not end the run."""

import pytest

import tests.time_limit

PROGRAM = """
import time
import pytest
import trio

cleaned = []

@pytest.fixture
async def resource():
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
        cleaned.append("resource")

@pytest.mark.trio
async def test_waits_in_a_nursery(resource):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)

def test_blocks():
    time.sleep(20)

def test_goes_on():
    assert cleaned == ["resource"]
"""
CTRL_C = """
import signal
import trio

async def test_interrupted():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        signal.raise_signal(signal.SIGINT)

def test_never_starts(): pass
"""


def test_a_test_over_its_time_fails_after_cleaning_up_and_the_run_goes_on(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PROGRAM)
    pytester.makeini("[pytest]\ntrio_mode = true")
    result = pytester.runpytest_inprocess("--timeout=0.2", plugins=[tests.time_limit])
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines("*the test took longer than 0.2 s and was interrupted*")


def test_an_interrupt_from_the_keyboard_ends_the_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CTRL_C)
    pytester.makeini("[pytest]\ntrio_mode = true")
    result = pytester.runpytest_inprocess(plugins=[tests.time_limit], no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
