"""Commands that are carried out by a standby process, as users meet them: real processes, whose server runs
strange_command.py."""

import json
import os
import pty
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from agent.standby.request import GREETING
from tests.clients.daemon import open_daemon

pytestmark = pytest.mark.slow
_ROOT = Path(__file__).parents[3]
_LIMIT_SECONDS = 20
_MODULE = (sys.executable, "-m", "tests.agent.standby.strange_command")
_ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "LD_"))} | {
    "PYTHONPATH": str(_ROOT)
}


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    """Of the socket of a server that is there."""
    socket = tmp_path / "standby.sock"
    arguments: list[str | Path] = [*_MODULE, socket, "server"]
    async with open_daemon(arguments, log=tmp_path / "log", ready="ready", environment=_ENVIRONMENT):
        yield socket


async def _run(
    path: Path, *arguments: str, environment: dict[str, str] | None = None, **more: Any
) -> tuple[int, str, str]:
    with trio.fail_after(_LIMIT_SECONDS):
        done = await trio.run_process(
            [*_MODULE, str(path), *arguments],
            env=_ENVIRONMENT | (environment or {}),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            **more,
        )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


async def _started(path: Path, mark: Path, nursery: trio.Nursery) -> trio.Process:
    """A client whose command waits."""
    start = partial(trio.run_process, [*_MODULE, str(path), "wait", str(mark)], env=_ENVIRONMENT, check=False)
    process: trio.Process = await nursery.start(start)
    await _until(lambda: mark.exists() and mark.read_text() != "")
    return process


async def _until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(_LIMIT_SECONDS):
        while not holds():
            await trio.sleep(0.01)


async def test_a_command_finds_what_its_own_process_would_have(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    processor = max(os.sched_getaffinity(0))

    def prepare() -> None:
        os.umask(0o027)
        os.nice(3)
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
        os.sched_setaffinity(0, {processor})
        Path("/proc/self/oom_score_adj").write_text("300")

    code, out, _ = await _run(
        path, "a b", "", "ü\udc80", environment={"TOLD_BY": "ü\n="}, cwd=elsewhere, preexec_fn=prepare
    )
    told = json.loads(out)
    assert code == 0
    assert told["arguments"] == ["a b", "", "ü\udc80"]
    assert told["environment"] == {"TOLD_BY": "ü\n="}
    assert told["directory"] == str(elsewhere)
    assert (told["umask"], told["files"], told["nice"] - os.nice(0)) == (0o027, 200, 3)
    assert (told["processors"], told["oom_score"]) == ([processor], 300)
    assert not told["terminal"]


async def test_standard_input_and_output_and_exit_codes_are_passed_on(path: Path) -> None:
    assert await _run(path, "cat", stdin="ü\n".encode() * 100_000) == (0, "ü\n" * 100_000, "")
    assert await _run(path, "exit", "7") == (7, "", "")
    assert await _run(path, "exit", "text") == (1, "", "said in the end\n")
    code, _, text = await _run(path, "fail")
    assert (code, text.splitlines()[-1]) == (1, "ValueError: nobody catches it")


async def test_a_command_has_threads_of_its_own_whatever_the_rehearsals_left(path: Path) -> None:
    assert await _run(path, "hop") == (0, "in a thread\n", "")


async def test_a_command_that_takes_long_holds_up_no_other(path: Path, tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        process = await _started(path, tmp_path / "mark", nursery)
        assert (await _run(path, "exit", "7"))[0] == 7
        process.send_signal(signal.SIGINT)


async def test_a_terminal_is_a_terminal_there_too(path: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        with trio.fail_after(_LIMIT_SECONDS):
            await trio.run_process([*_MODULE, str(path), "x"], env=_ENVIRONMENT, stdout=theirs)
        assert json.loads(os.read(ours, 4096))["terminal"]
    finally:
        os.close(ours)
        os.close(theirs)


async def test_ctrl_c_reaches_the_command_and_its_exit_code_comes_back(path: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    async with trio.open_nursery() as nursery:
        process = await _started(path, mark, nursery)
        process.send_signal(signal.SIGINT)
        with trio.fail_after(_LIMIT_SECONDS):
            assert await process.wait() == 130
    assert mark.read_text() == "interrupted"


async def test_ctrl_z_stops_the_command_and_its_end_is_one_there_too(path: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    async with trio.open_nursery() as nursery:
        process = await _started(path, mark, nursery)
        command = int(mark.read_text())
        for _ in range(2):
            process.send_signal(signal.SIGTSTP)
            await _until(lambda: _state(process.pid) == _state(command) == "T")
            process.send_signal(signal.SIGCONT)
            await _until(lambda: _state(process.pid) == _state(command) == "S")
        process.send_signal(signal.SIGTSTP)
        await _until(lambda: _state(process.pid) == _state(command) == "T")
        process.kill()
        await _until(lambda: mark.read_text() == "interrupted")


def _state(pid: int) -> str:
    """One letter: proc(5), /proc/PID/stat."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_no_command_waits_for_a_server_that_hangs(path: Path) -> None:
    assert (await _run(path, "exit", "3"))[0] == 3
    both = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _serves(pid, path)]
    for stopped in (both, both[:1]):  # the server with its fork, and alone
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            assert (await _run(path, "x", environment={"PATIENCE_SECONDS": "0.1"}))[1] == "here\n"
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
    assert (await _run(path, "exit", "3"))[0] == 3


def _serves(pid: int, path: Path) -> bool:
    with suppress(OSError):
        return f"{path}\0server\0".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_command_whose_client_is_gone_is_interrupted(
    path: Path, tmp_path: Path, number: signal.Signals
) -> None:
    mark = tmp_path / "mark"
    async with trio.open_nursery() as nursery:
        process = await _started(path, mark, nursery)
        process.send_signal(number)
        await _until(lambda: mark.read_text() == "interrupted")


async def test_a_command_that_is_killed_is_told_of(path: Path) -> None:
    code, _, text = await _run(path, "kill")
    assert (code, "was killed" in text) == (137, True)


async def test_what_is_of_another_kind_runs_in_its_own_process(path: Path, tmp_path: Path) -> None:
    async def is_here(**more: Any) -> bool:
        return (await _run(path, "x", **more))[1] == "here\n"

    assert not await is_here(environment={"PYTHONUNBUFFERED": "1"})
    assert await is_here(environment={"PYTHONHASHSEED": "1"})
    assert await is_here(environment={"LD_LIBRARY_PATH": "/x"})
    assert await is_here(environment={"TOLD_FILE": "/dev/fd/63"})
    assert (await _run(path, "--file=/dev/fd/63"))[1] == "here\n"
    assert (await _run(tmp_path / "nothing", "x"))[1] == "here\n"
    assert (await _run(Path("none"), "x"))[1] == "here\n"
    assert (await _run(path, "agent"))[1] == "here\n"


@pytest.mark.real("namespaces")
async def test_groups_and_cgroups_are_those_of_who_called(path: Path) -> None:
    hierarchy = next(line.split(":") for line in Path("/proc/self/cgroup").read_text().splitlines())
    cgroup = Path(
        "/sys/fs/cgroup", hierarchy[1].removeprefix("name="), hierarchy[2][1:], "shoal-standby-test"
    )
    cgroup.mkdir()

    def prepare() -> None:
        (cgroup / "cgroup.procs").write_text("0")
        os.setgroups([4711, 4712])

    try:
        told = json.loads((await _run(path, "x", preexec_fn=prepare))[1])
        await _until(lambda: (cgroup / "cgroup.procs").read_text() == "")
    finally:
        cgroup.rmdir()
    assert told["groups"] == [4711, 4712]
    assert f"{cgroup.name}\n" in told["cgroups"]


@pytest.mark.real("namespaces")
async def test_what_has_other_rights_runs_in_its_own_process(path: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for program in (
        ["unshare", "--net"],
        ["unshare", "--mount", "sh", "-c", f'mount --rbind / {root}; exec chroot {root} "$@"', "-"],
        ["unshare", "--mount"],
        ["setpriv", "--bounding-set=-chown"],
        ["setpriv", "--no-new-privs"],
    ):
        with trio.fail_after(_LIMIT_SECONDS):
            done = await trio.run_process(
                [*program, *_MODULE, str(path), "x"], env=_ENVIRONMENT, capture_stdout=True
            )
        assert done.stdout == b"here\n", program


async def test_garbage_gets_no_answer_and_the_next_one_does(path: Path) -> None:
    for garbage in (b"", b"\0\0\0\3abc", b"\xff\xff\xff\xff", b"\0\0\0\x09a\0b\0x\0y\0z"):
        stream = await trio.open_unix_socket(str(path))
        async with stream:
            assert await stream.receive_some(1) == GREETING
            await stream.send_all(garbage)
            await stream.send_eof()
            with trio.fail_after(_LIMIT_SECONDS), suppress(trio.BrokenResourceError):
                assert await stream.receive_some(1) == b""
    assert (await _run(path, "exit", "3"))[0] == 3


async def test_a_server_whose_parent_was_killed_ends_though_commands_come(tmp_path: Path) -> None:
    socket = tmp_path / "standby.sock"
    arguments = ["sh", "-c", f"{' '.join(_MODULE)} {socket} server & wait"]
    log = tmp_path / "log"
    async with open_daemon(arguments, log=log, ready="ready", environment=_ENVIRONMENT) as parent:
        server = json.loads((await _run(socket, "x"))[1])["server"]
        await parent.kill()
        await _run(socket, "x")
        await _until(lambda: not Path(f"/proc/{server}/exe").exists())


async def test_a_server_whose_code_has_changed_ends(tmp_path: Path) -> None:
    """In a copy of the tree, one file of which is touched."""
    subprocess.run(["cp", "-r", _ROOT / "agent", _ROOT / "tests", tmp_path], check=True)
    environment = _ENVIRONMENT | {"PYTHONPATH": str(tmp_path)}
    socket = tmp_path / "standby.sock"
    arguments: list[str | Path] = ["env", "-C", tmp_path, *_MODULE, socket, "server"]
    log = tmp_path / "log"
    async with open_daemon(arguments, log=log, ready="ready", environment=environment) as daemon:
        assert (await _run(socket, "exit", "3", environment=environment, cwd=tmp_path))[0] == 3
        (tmp_path / "agent/standby/rights.py").touch()
        assert (await _run(socket, "x", environment=environment, cwd=tmp_path))[1] == "here\n"
        await _until(lambda: not Path(f"/proc/{daemon.pid}/exe").exists())
