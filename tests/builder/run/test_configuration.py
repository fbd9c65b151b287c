"""config.json, as far as a real runtime's behaviour does not already show it."""

from pathlib import Path

from builder.run.configuration import (
    DEFAULT_PATH,
    Isolation,
    Mount,
    Process,
    process_environment,
    runtime_configuration,
)
from builder.run.security import Security
from builder.run.users import User

SANDBOX = Security(
    ("CAP_CHOWN",), {"defaultAction": "X"}, ("/proc/kcore",), ("/proc/sys",), read_only_kernel=True
)
INSECURE = Security(("CAP_CHOWN",), None, (), (), read_only_kernel=False)
PROCESS = Process(("true",), (("A", "b"),), "/w", User(1, 2, (3,)))


def configuration(
    security: Security = SANDBOX, *mounts: Mount, network: str | None = "", cgroup_namespace: bool = False
) -> dict[str, object]:
    return runtime_configuration(
        Path("/root-fs"), PROCESS, mounts, security, Isolation(network, "/shoal/x", cgroup_namespace)
    )


def test_later_mounts_win_and_stand_in_their_place() -> None:
    mine = Mount("/dev/shm/", "tmpfs", "tmpfs", ("size=1",))
    mounts = configuration(SANDBOX, mine)["mounts"]
    assert isinstance(mounts, list)
    targets = [mount["destination"] for mount in mounts]
    assert "/dev/shm" not in targets
    assert targets[-1] == "/dev/shm/"
    assert "/run" not in targets


def test_namespaces_follow_the_network_and_the_cgroups() -> None:
    def namespaces(network: str | None, cgroup_namespace: bool = False) -> list[dict[str, str]]:
        linux = configuration(network=network, cgroup_namespace=cgroup_namespace)["linux"]
        assert isinstance(linux, dict)
        own = {"pid", "ipc", "uts", "mount"}
        assert own <= {namespace["type"] for namespace in linux["namespaces"]}
        return [namespace for namespace in linux["namespaces"] if namespace["type"] not in own]

    assert namespaces(None) == []
    assert namespaces("") == [{"type": "network"}]
    assert namespaces("/ns", True) == [{"type": "network", "path": "/ns"}, {"type": "cgroup"}]


def test_an_insecure_one_has_no_filter_no_masks_every_device_and_a_writable_sys() -> None:
    linux = configuration(INSECURE)["linux"]
    assert isinstance(linux, dict)
    assert "seccomp" not in linux
    assert linux["maskedPaths"] == linux["readonlyPaths"] == []
    assert linux["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    mounts = configuration(INSECURE)["mounts"]
    assert isinstance(mounts, list)
    assert all("ro" not in mount["options"] for mount in mounts)


def test_the_environment_has_a_path_and_later_groups_win() -> None:
    assert process_environment((("A", "1"),), (("A", "2"),)) == (("PATH", DEFAULT_PATH), ("A", "2"))
    assert dict(process_environment((("PATH", "/x"),)))["PATH"] == "/x"
