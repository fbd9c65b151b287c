"""A machine's network that is this program's alone, and what builds do in it: each scenario is a function.

Run in namespaces of its own (`in_a_world`): one link leads to a far host, which knows nothing of the addresses that
containers have; packets are forwarded only where a rule says so, as with dockerd running.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from agent.store.file_lock import try_lock
from builder.run.errors import RunError
from builder.run.firewall import Firewall
from builder.run.left_behind import clean_up
from builder.run.network import open_network
from builder.run.runtime import Runtime
from tests.builder.run.small_root import Sandbox
from tests.clients.scratch import mounts_below

_MODULE = "tests.builder.run.network_world"  # __name__ is another one inside
FAR = "198.51.100.2"
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def in_a_world(scenario: Callable[[Sandbox], None], sandbox: Sandbox) -> None:
    """AssertionError with what it said where it fails."""
    words = [sys.executable, "-m", _MODULE, scenario.__name__, str(sandbox.root), str(sandbox.work)]
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--propagation", "private", *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def _main(scenario: str, root: str, work: str) -> None:
    Path("/run/shoal").mkdir(exist_ok=True)
    _do("mount -t tmpfs shoal /run/shoal")
    far = subprocess.Popen(
        ["unshare", "--net", "busybox", "nc", "-ll", "-p", "80", "-e", "busybox", "echo", "far"]
    )
    try:
        while Path(f"/proc/{far.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
            time.sleep(0.001)
        _do("ip link set lo up")
        _do(f"ip link add uplink mtu 1400 type veth peer name far mtu 1400 netns {far.pid}")
        _do("ip address add 198.51.100.1/24 dev uplink")
        _do("ip link set uplink up")
        _do(f"nsenter --net=/proc/{far.pid}/ns/net ip address add {FAR}/24 dev far")
        _do(f"nsenter --net=/proc/{far.pid}/ns/net ip link set far up")
        _do(f"ip route add default via {FAR}")
        _do("iptables -P FORWARD DROP")
        scratch = Path(work).parent
        before = _state(scratch)
        globals()[scenario](Sandbox(Path(root), Path(work)))
        after = _state(scratch)
        assert after == before, f"{after} was left, {before} was there"
    finally:
        far.kill()
        far.wait()


def reaches_far(sandbox: Sandbox) -> None:
    status = trio.run(_run, sandbox, f"nc {FAR} 80; cat /sys/class/net/eth0/mtu")
    assert (status, sandbox.said) == (0, "far\n1400"), (status, sandbox.stdout, sandbox.stderr)


def two_at_a_time(sandbox: Sandbox) -> None:
    other = Sandbox(sandbox.root, sandbox.work.with_name("other"))
    other.work.mkdir()

    async def both() -> None:
        async with trio.open_nursery() as nursery:
            for one in (sandbox, other):
                nursery.start_soon(_run, one, f"nc {FAR} 80; ip address show eth0; sleep 0.5")

    trio.run(both)
    assert sandbox.said.startswith("far") == other.said.startswith("far") is True
    assert sandbox.said != other.said


def cancelled_at_any_time(sandbox: Sandbox) -> None:
    async def cancel_after(seconds: float) -> None:
        with trio.move_on_after(seconds):
            await _run(sandbox, "sleep 1001")

    for milliseconds in (0, 1, 2, 4, 8, 12, 16, 20, 25, 30, 35, 40, 50, 60, 80, 120):
        trio.run(cancel_after, milliseconds / 1000)


def with_nft(_sandbox: Sandbox) -> None:
    """Nothing is dropped by another table there: nft's cannot overrule that."""
    _do("iptables -P FORWARD ACCEPT")
    network = open_network("default", find=lambda: Firewall("/usr/sbin/nft"))
    words = ["nsenter", f"--net={network.namespace}", "busybox", "nc", FAR, "80"]
    assert subprocess.run(words, check=True, capture_output=True).stdout == b"far\n"
    network.close()
    rules = subprocess.run(["/usr/sbin/nft", "list", "ruleset"], check=True, capture_output=True).stdout
    assert b"shoal" not in rules
    _do("iptables -P FORWARD DROP")


def with_crun(sandbox: Sandbox) -> None:
    """On a machine with cgroups of version 2 alone; there is no capability here for crun to confine devices."""
    _do("umount --lazy /sys/fs/cgroup")
    _do("mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    program = sandbox.work.with_name("crun")
    program.write_text('#!/bin/sh\nexec crun --cgroup-manager=disabled "$@"\n')
    program.chmod(0o755)
    sandbox.runtime = Runtime(program)
    status = trio.run(_run, sandbox, f"nc {FAR} 80; id -u; pwd; echo $HOME; exit 5")
    assert (status, sandbox.said) == (5, "far\n0\n/\n/root"), (status, sandbox.stdout, sandbox.stderr)
    assert sandbox.stderr == b""
    with pytest.raises(RunError, match="nothere"):
        trio.run(sandbox.execute, ("nothere",))
    cancelled_at_any_time(sandbox)
    _do("umount /sys/fs/cgroup")


def is_killed(sandbox: Sandbox) -> None:
    """The build dies at once, while its container runs; a later one finds what it left."""
    words = [sys.executable, "-m", _MODULE, "_sleep", str(sandbox.root), str(sandbox.work)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as build:
        assert build.stdout is not None
        assert build.stdout.readline() == b"begun\n"
        clean_up(sandbox.work)  # it lives: nothing of it is touched
        assert b"shoal0" in subprocess.run(["ip", "link"], capture_output=True, check=True).stdout
        os.kill(build.pid, signal.SIGKILL)
    clean_up(sandbox.work)
    assert sorted(path.name for path in (sandbox.work / "build/step").iterdir()) == []
    (sandbox.work / "build/alive").unlink()
    (sandbox.work / "build/step").rmdir()
    (sandbox.work / "build").rmdir()


def killed_at_any_time(sandbox: Sandbox) -> None:
    for milliseconds in (2, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 80):
        child = os.fork()
        if child == 0:
            _sleep(Sandbox(sandbox.root, sandbox.work))
            os._exit(0)
        time.sleep(milliseconds / 1000)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        _wait_until_free(sandbox.work / "build/alive")
        clean_up(sandbox.work)
        left = [path.name for path in sandbox.work.rglob("*") if path.is_file() and path.name != "alive"]
        assert left == [], left
        shutil.rmtree(sandbox.work / "build", ignore_errors=True)


def _wait_until_free(lock: Path) -> None:
    """A process that was just being started may still hold what its parent held."""
    while lock.exists():
        if (fd := try_lock(lock, create=False)) is not None:
            os.close(fd)
            return
        time.sleep(0.005)


def _sleep(sandbox: Sandbox) -> None:
    build = sandbox.work / "build"
    (build / "step").mkdir(parents=True)
    lock = try_lock(build / "alive", create=True)
    assert lock is not None
    sandbox.work = build / "step"
    sandbox.heard = lambda: print("begun", flush=True)
    trio.run(_run, sandbox, "echo x; exec sleep 1001")


async def _run(sandbox: Sandbox, text: str) -> int:
    return await sandbox.run(text, network="default")


def _state(scratch: Path) -> list[str]:
    rules = subprocess.run(["iptables", "-S"], check=True, capture_output=True, text=True).stdout
    nat = subprocess.run(["iptables", "-t", "nat", "-S"], check=True, capture_output=True, text=True).stdout
    links = subprocess.run(["ip", "-brief", "link"], check=True, capture_output=True, text=True).stdout
    mounts = mounts_below(scratch)
    sleeping = [str(pid) for pid in Path("/proc").glob("[0-9]*/cmdline") if b"\x001001\x00" in _read(pid)]
    records = [str(path) for path in Path("/run/shoal").rglob("*") if path.is_file()]
    names = [line.split()[0] for line in links.splitlines()]
    return [*rules.splitlines(), *nat.splitlines(), *names, *mounts, *sleeping, *records]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _do(command: str) -> None:
    subprocess.run(command.split(), check=True)


if __name__ == "__main__":
    if sys.argv[1] == "_sleep":
        _sleep(Sandbox(Path(sys.argv[2]), Path(sys.argv[3])))
    else:
        _main(*sys.argv[1:])
