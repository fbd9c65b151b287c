"""`run_container`: one RUN, from an unpacked root to its exit status.

Whatever happens (a failure, a cancellation, Ctrl-C) nothing is left: no process, mount, network, file. A process that
dies at once leaves what `clean_up` (left_behind.py) finds by the record in the work directory.
"""

import signal
import subprocess
from collections.abc import Callable
from typing import Literal

import trio

from builder.run.errors import RunError
from builder.run.prepared import PreparedContainer
from builder.run.request import ContainerRequest
from builder.run.start_failure import explain_failure

Stream = Literal["stdout", "stderr"]
OnOutput = Callable[[Stream, bytes], None]

_READ_BYTES = 64 * 1024
_KILL_SECONDS = 10.0
_POLL_SECONDS = 0.01
_CLOSE_SECONDS = 60.0
_DRAIN_SECONDS = 10.0


async def run_container(request: ContainerRequest, on_output: OnOutput) -> int:
    """The exit status of the command, 128 + n where signal n killed it. on_output: pieces as they come.

    Raises RunError where it could not be started: no such user, program, network, or a program for another machine.
    """
    container = PreparedContainer(request)
    try:
        await trio.to_thread.run_sync(container.open)
        status = await _carry_out(container, on_output)
        if status != 0:
            await trio.to_thread.run_sync(explain_failure, container, status)
        return status
    except OSError as error:
        raise RunError(f"the container of RUN cannot be set up: {error}") from error
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSE_SECONDS):
            await trio.to_thread.run_sync(container.close, abandon_on_cancel=True)


async def _carry_out(container: PreparedContainer, on_output: OnOutput) -> int:
    process = await trio.lowlevel.open_process(
        container.command(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us, who end the container in order
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with trio.open_nursery() as agents:
            for agent in container.agents:
                agents.start_soon(agent.serve)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_forward, process.stdout, "stdout", on_output)
                nursery.start_soon(_forward, process.stderr, "stderr", on_output)
                status = await process.wait()
                nursery.cancel_scope.deadline = trio.current_time() + _DRAIN_SECONDS
            agents.cancel_scope.cancel()
    finally:
        if process.returncode is None:
            await _kill(process, container)
    return 128 - status if status < 0 else status


async def _forward(stream: trio.abc.ReceiveStream, name: Stream, on_output: OnOutput) -> None:
    while piece := await stream.receive_some(_READ_BYTES):
        on_output(name, bytes(piece))


async def _kill(process: trio.Process, container: PreparedContainer) -> None:
    """The first process of the container takes all others with it, and the runtime clears up and ends.

    A runtime that is still at making it is waited for: killed itself, it would leave a process that nobody knows of.
    """
    with trio.CancelScope(shield=True):
        with trio.move_on_after(_KILL_SECONDS):
            while process.returncode is None:
                container.kill()
                with trio.move_on_after(_POLL_SECONDS):
                    await process.wait()
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()
