"""`run_container`: one RUN, from an unpacked root to its exit status.

Whatever happens (a failure, a cancellation, Ctrl-C) nothing is left: no process, mount, network, file. A process that
dies at once leaves what `clean_up` (left_behind.py) finds by the record in the work directory.
"""

import signal
import subprocess
from collections.abc import Callable, Sequence
from typing import Literal

import trio

from builder.run.agent_socket import AgentSocket
from builder.run.errors import RunError
from builder.run.prepared import PreparedContainer
from builder.run.request import ContainerRequest
from builder.run.start_failure import explain_failure

Stream = Literal["stdout", "stderr"]
OnOutput = Callable[[Stream, bytes], None]

_READ_BYTES = 64 * 1024
_COMPLAINT_BYTES = 1024
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
        try:
            await trio.to_thread.run_sync(container.open)
            return await _carry_out(container, _Output(on_output))
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSE_SECONDS):
                await trio.to_thread.run_sync(container.close, abandon_on_cancel=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise RunError(f"the container of RUN cannot be set up or taken away: {error}") from error


class _Output:
    """Passes on what comes, and keeps the end of what the command, or its runtime, complains of."""

    def __init__(self, on_output: OnOutput) -> None:
        self._on_output = on_output
        self.complaint = b""

    async def forward(self, stream: trio.abc.ReceiveStream, name: Stream) -> None:
        while piece := await stream.receive_some(_READ_BYTES):
            if name == "stderr":
                self.complaint = (self.complaint + piece)[-_COMPLAINT_BYTES:]
            self._on_output(name, bytes(piece))


async def _carry_out(container: PreparedContainer, output: _Output) -> int:
    process = await trio.lowlevel.open_process(
        container.command(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us, who end the container in order
    )
    try:
        status = await _follow(process, container.agents, output)
    finally:
        if process.returncode is None:
            await _kill(process, container)
    if status != 0:
        explain_failure(container, status, output.complaint)
    return 128 - status if status < 0 else status


async def _follow(process: trio.Process, agents: Sequence[AgentSocket], output: _Output) -> int:
    assert process.stdout is not None
    assert process.stderr is not None
    async with trio.open_nursery() as services:
        for agent in agents:
            services.start_soon(agent.serve)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(output.forward, process.stdout, "stdout")
            nursery.start_soon(output.forward, process.stderr, "stderr")
            status = await process.wait()
            nursery.cancel_scope.deadline = trio.current_time() + _DRAIN_SECONDS
        services.cancel_scope.cancel()
    return status


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
