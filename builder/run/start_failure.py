"""Why a RUN could not be started: what the runtime's log says, and programs that are for another machine.

A program for another machine that fails by itself, under an emulator, is left alone.
"""

import json
import os
import re
from pathlib import Path

from builder.run.errors import RunError
from builder.run.prepared import PreparedContainer
from builder.run.root_path import path_in_root, read_start

_CANNOT_EXECUTE = b"exec format error"  # ENOEXEC, in all runtimes' words
_PREFIXES = re.compile(
    r"^(runc run failed: |unable to start container process: |container_linux\.go:\d+: |"
    r"starting container process caused: )+"
)
_ELF_HEADER_BYTES = 20  # up to e_machine, all that is looked at
_MACHINES = {
    3: "386",
    8: "mips",
    20: "ppc",
    21: "ppc64le",
    22: "s390x",
    40: "arm",
    62: "amd64",
    183: "arm64",
    243: "riscv64",
}
_RUNS = {
    "x86_64": ("amd64", "386"),
    "aarch64": ("arm64", "arm"),
    "s390x": ("s390x",),
    "ppc64le": ("ppc64le",),
}


def explain_failure(container: PreparedContainer, status: int, complaint: bytes) -> None:
    """Raises RunError where the command never ran; returns where `status` is the command's own.

    complaint: the end of what was said on standard error, by whomever.
    """
    foreign = foreign_program(container.root, container.arguments[0], container.search_path)
    if foreign is not None and _CANNOT_EXECUTE in complaint.lower():
        platform = container.platform or f"linux/{foreign}"
        raise RunError(
            f"this machine ({os.uname().machine}) cannot run {container.arguments[0]} of {platform}: register an "
            "emulator (on Debian: apt-get install qemu-user-static binfmt-support) or build on such a machine"
        )
    if text := logged_error(container.log):
        raise RunError(f"RUN could not be started: {text} (status {status})")


def logged_error(log: Path) -> str:
    """The runtime's last error; "" where it had none."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("level") in ("error", "fatal"):
            return _PREFIXES.sub("", str(entry.get("msg", "")))
    return ""


def foreign_program(root: Path, program: str, search_path: str) -> str | None:
    """The architecture of an ELF program that is not this machine's, None for any other, and where emulated."""
    if "/" in program:
        candidates = [program]
    else:
        candidates = [f"{directory}/{program}" for directory in search_path.split(":") if directory]
    for candidate in candidates:
        header = read_start(path_in_root(root, candidate), _ELF_HEADER_BYTES)
        if header is not None:
            return _foreign(header)
    return None


def _foreign(header: bytes) -> str | None:
    if header[:4] != b"\x7fELF" or len(header) < _ELF_HEADER_BYTES:
        return None
    machine = int.from_bytes(header[18:20], "little" if header[5] == 1 else "big")
    name = _MACHINES.get(machine, f"ELF machine {machine}")
    native = _RUNS.get(os.uname().machine)
    return None if native is None or name in native else name
