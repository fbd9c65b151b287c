"""What happens when a test exceeds its time: an interrupt, so that trio unwinds and the test stops what it started.

pytest-timeout's own ways are to end the whole run at once, or to raise inside trio's loop; either would leave engines,
mounts and namespaces behind. Here the test gets a KeyboardInterrupt, as from Ctrl-C, fails, and the run goes on. Only a
test that does not even end then, within GRACE_SECONDS, ends the run, with the stacks of all threads.
"""

import signal
import threading
from collections.abc import Callable, Generator

import pytest
import pytest_timeout

GRACE_SECONDS = 40
_exceeded = pytest.StashKey[float]()


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: pytest_timeout.Settings) -> bool:
    """Takes the place of pytest-timeout's own timer."""

    def interrupt() -> None:
        item.stash[_exceeded] = settings.timeout
        start(GRACE_SECONDS, pytest_timeout.timeout_timer, item, settings)
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)

    timers: list[threading.Timer] = []

    def start(seconds: float, work: Callable[..., None], *args: object) -> None:
        timer = threading.Timer(seconds, work, args)
        timer.daemon = True
        timers.append(timer)
        timer.start()

    def cancel() -> None:
        for timer in timers:
            timer.cancel()
            timer.join()

    item.cancel_timeout = cancel  # type: ignore[attr-defined]  # where pytest-timeout looks for it
    start(settings.timeout, interrupt)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Says what the interrupt was about. One from the keyboard ends the run, though nurseries wrap it in a group."""
    try:
        return (yield)
    except BaseException as error:
        if (seconds := pyfuncitem.stash.get(_exceeded, None)) is not None:
            raise TimeoutError(f"the test took longer than {seconds} s and was interrupted") from error
        if isinstance(error, BaseExceptionGroup) and error.subgroup(KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
