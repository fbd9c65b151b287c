"""`holder_of_port`: which process of this machine listens on a TCP port, for the message that says it is taken.

Linux alone, by /proc (proc(5), /proc/net/tcp); as another user one sees no names, and nothing is told then.
"""

import os
from collections.abc import Iterator
from pathlib import Path

_LISTEN = "0A"  # TCP_LISTEN of include/net/tcp_states.h
_SHOWN_CHARACTERS = 60


def holder_of_port(port: int, proc: Path = Path("/proc")) -> str | None:
    """`process 4242, shoal up`; None where it is not to be seen."""
    inodes = set(_listening_inodes(port, proc))
    if not inodes:
        return None
    for process in _processes(proc):
        if inodes.intersection(_socket_inodes(process)):
            return f"process {process.name}, {_command_of(process)}"
    return None


def _listening_inodes(port: int, proc: Path) -> Iterator[str]:
    """A line: slot, local address, remote address, state, ..., the inode tenth."""
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _processes(proc: Path) -> Iterator[Path]:
    for name in os.listdir(proc):
        if name.isdigit():
            yield proc / name


def _socket_inodes(process: Path) -> Iterator[str]:
    try:
        descriptors = os.listdir(process / "fd")
    except OSError:
        return
    for descriptor in descriptors:
        try:
            target = str((process / "fd" / descriptor).readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[len("socket:[") : -1]


def _command_of(process: Path) -> str:
    """Words of its command line up to the first flag; of interpreters, the program's own name."""
    try:
        words = (process / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return "unknown"
    if len(words) > 1 and Path(words[0]).name.startswith("python") and not words[1].startswith("-"):
        words = words[1:]
    named = [Path(words[0]).name, *words[1:2]]
    text = " ".join(word for word in named if not word.startswith("-"))
    return "".join(c if c.isprintable() else "?" for c in text)[:_SHOWN_CHARACTERS]
