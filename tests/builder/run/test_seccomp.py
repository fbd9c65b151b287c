"""The seccomp profile that ships, as a runtime gets it."""

import json
from pathlib import Path
from typing import Any

import pytest

from builder.run import seccomp
from builder.run.seccomp import Kernel, runtime_rules

PROFILE: dict[str, Any] = json.loads(Path(seccomp.__file__).with_name("seccomp.json").read_text())
INTEL = Kernel("x86_64", "6.1.0-13-amd64")


def allowed(kernel: Kernel, *capabilities: str) -> set[str]:
    rules = runtime_rules(PROFILE, kernel, capabilities)
    assert rules is not None
    return {
        name for rule in rules["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]
    }


def test_what_is_not_named_is_refused_with_eperm_on_this_architecture_and_its_32_bit_kin() -> None:
    rules = runtime_rules(PROFILE, INTEL, ())
    assert rules is not None
    assert (rules["defaultAction"], rules["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)
    assert rules["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    assert {"names", "action"} <= set(rules["syscalls"][0])
    assert "comment" not in rules["syscalls"][0]


def test_calls_that_reach_beyond_a_container_need_their_capability() -> None:
    guarded = {"mount", "unshare", "setns", "bpf", "reboot", "init_module", "open_by_handle_at", "chroot"}
    assert not guarded & allowed(INTEL)
    assert {"mount", "unshare", "setns", "bpf"} <= allowed(INTEL, "CAP_SYS_ADMIN")
    assert "chroot" in allowed(INTEL, "CAP_SYS_CHROOT")
    assert not {"keyctl", "add_key", "kexec_load", "io_uring_setup", "userfaultfd"} & allowed(
        INTEL, "CAP_SYS_ADMIN"
    )


def test_clone_makes_no_namespaces_and_clone3_seems_not_to_exist() -> None:
    rules = runtime_rules(PROFILE, INTEL, ())
    assert rules is not None
    (clone,) = [rule for rule in rules["syscalls"] if rule["names"] == ["clone"]]
    assert clone["args"] == [{"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]
    (clone3,) = [rule for rule in rules["syscalls"] if rule["names"] == ["clone3"]]
    assert (clone3["action"], clone3["errnoRet"]) == ("SCMP_ACT_ERRNO", 38)


def test_architectures_have_calls_of_their_own() -> None:
    assert "arch_prctl" in allowed(INTEL)
    assert "arch_prctl" not in allowed(Kernel("aarch64", "6.1"))
    assert "cacheflush" in allowed(Kernel("aarch64", "6.1"))
    assert runtime_rules(PROFILE, Kernel("vax", "6.1"), ()) is None


@pytest.mark.parametrize(("version", "there"), [("4.4.0-generic", False), ("4.8", True), ("6.18.44-x", True)])
def test_tracing_ones_children_waits_for_a_kernel_that_keeps_them_inside(version: str, there: bool) -> None:
    assert ("ptrace" in allowed(Kernel("x86_64", version))) is there


def test_no_name_stands_twice_in_a_rule_and_all_are_sorted() -> None:
    for rule in PROFILE["syscalls"]:
        assert rule["names"] == sorted(set(rule["names"]))
