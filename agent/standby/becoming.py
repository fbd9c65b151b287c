"""`become`: a process takes over what makes another one that process: its limits, its environment, where it is, what
it reads and writes. What cannot be taken over fails, and the command runs where it was called.

Whether it may do so at all is asked before, in `rights`.
"""

import os
import resource
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from agent.standby.request import Request
from agent.standby.rights import groups_of


def become(pid: int, request: Request, descriptors: list[int]) -> None:
    """Closes the descriptors. Raises OSError, ValueError."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _take_limits(pid)
    os.umask(request.umask)
    for target, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, target, inheritable=True)
    os.fchdir(descriptors[3])
    for descriptor in descriptors:
        os.close(descriptor)
    os.environb.clear()
    os.environb.update(dict(_pair(variable) for variable in request.environment))
    time.tzset()
    _open_standard_streams(request.encoding.decode())


def _take_limits(pid: int) -> None:
    if groups_of(pid) != groups_of(os.getpid()):  # each thread has to take part, idle ones too: milliseconds
        os.setgroups(groups_of(pid))
    _join_cgroups(pid)
    _take_oom_score(pid)
    for limit in range(resource.RLIM_NLIMITS if hasattr(resource, "RLIM_NLIMITS") else 16):
        resource.setrlimit(limit, resource.prlimit(pid, limit))
    for thread in map(int, os.listdir("/proc/self/task")):  # those that a rehearsal left idle, too
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, pid))
        os.sched_setaffinity(thread, os.sched_getaffinity(pid))


def _join_cgroups(pid: int) -> None:
    """So that what holds for that process, and what ends it, does so for us, and what ends the agent does not. The
    kernel takes some ms to move a process. Users who may not stay: both are below what they were given."""
    ours = _lines("/proc/self/cgroup")
    for line in _lines(f"/proc/{pid}/cgroup"):
        if line not in ours:
            _, hierarchy, path = line.split(":", 2)
            with suppress(PermissionError):
                place = Path("/sys/fs/cgroup", hierarchy.removeprefix("name="), path[1:])
                (place / "cgroup.procs").write_text("0", encoding="ascii")


def _lines(file: str) -> list[str]:
    return Path(file).read_text(encoding="utf-8").splitlines()


def _take_oom_score(pid: int) -> None:
    score = _lines(f"/proc/{pid}/oom_score_adj")
    if score != _lines("/proc/self/oom_score_adj"):
        Path("/proc/self/oom_score_adj").write_text(score[0], encoding="ascii")


def _pair(variable: bytes) -> tuple[bytes, bytes]:
    name, _, value = variable.partition(b"=")
    return name, value


def _open_standard_streams(encoding: str) -> None:
    name, _, errors = encoding.partition(":")
    for number, stream in enumerate(("stdin", "stdout", "stderr")):
        file = open(  # noqa: SIM115 -- as long as the process
            number,
            "r" if number == 0 else "w",
            encoding=name,
            errors="backslashreplace" if number == 2 else errors,
            buffering=1 if number == 2 or os.isatty(number) else -1,
            closefd=False,
        )
        setattr(sys, stream, file)
        setattr(sys, f"__{stream}__", file)
