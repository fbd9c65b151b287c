"""The system calls that a sandboxed RUN may make: Docker's default rules, from a profile to what a runtime reads. PURE.

seccomp.json has them in the form of containers' profiles: rules that hold on some architectures, with some
capabilities, or from some kernel on. A runtime wants the rules of this machine alone.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

_ARCHITECTURES = {  # as `uname -m` says: the profile's name (Go's), libseccomp's
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "armv7l": ("arm", "SCMP_ARCH_ARM"),
    "i686": ("x86", "SCMP_ARCH_X86"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
    "mips64": ("mips64", "SCMP_ARCH_MIPS64"),
}


@dataclass(frozen=True, slots=True)
class Kernel:
    """machine: as `uname -m`; version: as `uname -r`."""

    machine: str
    version: str

    def is_at_least(self, version: str) -> bool:
        return _numbers(self.version) >= _numbers(version)


def runtime_rules(
    profile: Mapping[str, Any], kernel: Kernel, capabilities: Collection[str]
) -> dict[str, Any] | None:
    """`linux.seccomp` of an OCI configuration; None on an architecture that is not known, which then has no filter."""
    if kernel.machine not in _ARCHITECTURES:
        return None
    name, library_name = _ARCHITECTURES[kernel.machine]
    further = [
        sub
        for entry in profile.get("archMap", ())
        if entry["architecture"] == library_name
        for sub in entry["subArchitectures"] or ()
    ]
    rules = [rule for rule in profile["syscalls"] if _holds(rule, name, kernel, capabilities)]
    result = {
        "defaultAction": profile["defaultAction"],
        "architectures": [library_name, *further],
        "syscalls": [_runtime_rule(rule) for rule in rules],
    }
    if "defaultErrnoRet" in profile:
        result["defaultErrnoRet"] = profile["defaultErrnoRet"]
    return result


def _holds(rule: Mapping[str, Any], architecture: str, kernel: Kernel, capabilities: Collection[str]) -> bool:
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    if not set(includes.get("caps") or ()) <= set(capabilities):
        return False
    if (arches := includes.get("arches")) and architecture not in arches:
        return False
    if (oldest := includes.get("minKernel")) and not kernel.is_at_least(oldest):
        return False
    if set(excludes.get("caps") or ()) & set(capabilities) or architecture in (excludes.get("arches") or ()):
        return False
    newest = excludes.get("minKernel")
    return not (newest and kernel.is_at_least(newest))


def _runtime_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: rule[key] for key in ("names", "action", "errnoRet") if rule.get(key) is not None}
    return kept | ({"args": rule["args"]} if rule.get("args") else {})


def _numbers(version: str) -> tuple[int, int]:
    """Of `6.1.0-13-amd64`: 6, 1."""
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0].partition("-")[0]
    return (int(major) if major.isdigit() else 0, int(minor) if minor.isdigit() else 0)
