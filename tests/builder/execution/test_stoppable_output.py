"""An output ends with its build, whatever its reader does."""

import os
import threading
from pathlib import Path

import pytest
import trio

from agent.content.errors import DiskError
from builder.execution.stoppable_output import open_stoppable


def write(path: Path, data: bytes) -> None:
    with open_stoppable(str(path), "write") as written:
        written(data)


def test_a_file_is_written_as_it_is(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    write(tmp_path / "file", data)
    assert (tmp_path / "file").read_bytes() == data


def test_a_pipe_gets_all_of_it(tmp_path: Path) -> None:
    pipe, data, read = tmp_path / "pipe", os.urandom(1 << 20), list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write(pipe, data)
    reader.join()
    assert read == [data]


def test_a_reader_that_is_gone_is_told(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises((BrokenPipeError, DiskError)), open_stoppable(str(pipe), "write") as written:
        os.close(reader)
        written(bytes(100))


async def test_a_reader_who_takes_nothing_holds_nobody(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with trio.move_on_after(0.05) as scope:
            await trio.to_thread.run_sync(write, pipe, bytes(1 << 20))
        assert scope.cancelled_caught
    finally:
        os.close(reader)
