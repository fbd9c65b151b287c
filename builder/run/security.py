"""What a container may do: sandboxed as Docker's default, or everything that this machine itself may do.

The seccomp profile is ours (seccomp.json) unless SHOAL_BUILD_SECCOMP names another, such as containers-common's
/usr/share/containers/seccomp.json.
"""

import functools
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.run.errors import RunError
from builder.run.seccomp import Kernel, runtime_rules

SECCOMP_VARIABLE = "SHOAL_BUILD_SECCOMP"
_PROFILE = Path(__file__).with_name("seccomp.json")

_DEFAULT_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
    "AUDIT_WRITE"
)
# By number, from 0: include/uapi/linux/capability.h
_ALL_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True)
class Security:
    """seccomp None: no filter. read_only_kernel: /sys and its cgroups may not be written."""

    capabilities: tuple[str, ...]
    seccomp: dict[str, Any] | None
    masked_paths: tuple[str, ...]
    read_only_paths: tuple[str, ...]
    read_only_kernel: bool


def security_of(mode: str) -> Security:
    """mode: sandbox or insecure."""
    if mode == "insecure":
        return Security(_held_capabilities(), None, (), (), read_only_kernel=False)
    return _sandbox()


@functools.cache
def _sandbox() -> Security:
    held = set(_held_capabilities())
    capabilities = tuple(name for name in _named(_DEFAULT_CAPABILITIES) if name in held)
    uname = os.uname()
    rules = runtime_rules(_profile(), Kernel(uname.machine, uname.release), capabilities)
    return Security(capabilities, rules, _MASKED, _READ_ONLY, read_only_kernel=True)


def _profile() -> dict[str, Any]:
    path = Path(os.environ.get(SECCOMP_VARIABLE) or _PROFILE)
    try:
        profile: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(f"the seccomp profile {path} cannot be read: {error}") from error
    return profile


def _held_capabilities() -> tuple[str, ...]:
    """Nobody can give more than they have: a runtime that is asked to would fail."""
    lines = Path("/proc/self/status").read_text().splitlines()
    held = next(int(line.split()[1], 16) for line in lines if line.startswith("CapBnd:"))
    return tuple(name for bit, name in enumerate(_named(_ALL_CAPABILITIES)) if held >> bit & 1)


def _named(words: str) -> tuple[str, ...]:
    return tuple(f"CAP_{word}" for word in words.split())
