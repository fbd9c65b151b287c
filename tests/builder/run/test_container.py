"""Containers of a real runtime, and what is left of them."""

import os

import pytest
import trio

from builder.plan.steps import RunOperation, ScriptFile
from builder.run.errors import RunError
from builder.run.request import ContainerRequest, ResolvedMount
from builder.run.runtime import Runtime
from tests.builder.run.small_root import Sandbox

pytestmark = pytest.mark.real("runc", "busybox")


async def test_a_command_runs_in_its_root_and_its_exit_status_and_both_streams_come_back(
    sandbox: Sandbox,
) -> None:
    assert await sandbox.run("echo out; echo err >&2; echo kept > /file; exit 7") == 7
    assert (sandbox.stdout, sandbox.stderr) == (b"out\n", b"err\n")
    assert (sandbox.root / "file").read_text() == "kept\n"


async def test_it_sees_its_environment_directory_and_host_name_and_a_default_path(sandbox: Sandbox) -> None:
    probe = 'echo "$A $PATH $HOME $(pwd) $(cat /proc/sys/kernel/hostname)"'
    await sandbox.run(probe, environment=(("A", "b c"),), directory="/made/here")
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert sandbox.said == f"b c {path} /root /made/here buildkitsandbox"


async def test_a_user_has_their_groups_their_home_and_owns_a_directory_that_was_made(
    sandbox: Sandbox,
) -> None:
    probe = "id -u; id -g; id -G; echo $HOME; touch mine; echo x > /dev/stderr"
    assert await sandbox.run(probe, user="builder", directory="/work") == 0
    assert sandbox.said.split("\n") == ["1000", "1001", "1001 2000", "/home/builder"]
    assert (sandbox.root / "work").stat().st_uid == 1000


async def test_a_user_that_the_image_does_not_know_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(RunError, match="user 'nobody' is not in the image's /etc/passwd"):
        await sandbox.run("true", user="nobody")


async def test_the_sandbox_has_dockers_capabilities_a_filter_and_may_gain_privileges(
    sandbox: Sandbox,
) -> None:
    await sandbox.run("grep -E '^(CapEff|CapBnd|CapInh|Seccomp|NoNewPrivs):' /proc/self/status | tr -d '\\t'")
    assert sorted(sandbox.said.split("\n")) == [
        "CapBnd:00000000a80425fb",
        "CapEff:00000000a80425fb",
        "CapInh:0000000000000000",
        "NoNewPrivs:0",
        "Seccomp:2",
    ]


async def test_the_kernels_files_are_masked_or_read_only(sandbox: Sandbox) -> None:
    await sandbox.run(
        "echo 1 > /proc/sys/kernel/panic; mkdir /sys/fs/cgroup/memory/x && echo made; mount -t tmpfs x /bin; "
        "cat /proc/timer_list /proc/keys; ls /sys/firmware; echo end"
    )
    assert sandbox.said == "end"
    assert b"/proc/sys/kernel/panic: Read-only file system" in sandbox.stderr
    assert b"mount: permission denied" in sandbox.stderr


async def test_an_insecure_run_must_be_allowed_and_then_may_mount(sandbox: Sandbox) -> None:
    with pytest.raises(RunError, match=r"--allow security\.insecure"):
        await sandbox.run("true", security="insecure")
    text = "mount -t tmpfs x /etc && grep -E '^Seccomp:' /proc/self/status"
    operation = RunOperation(("/bin/sh", "-c", text), (), "/", network="none", security="insecure")
    request = ContainerRequest(sandbox.root, operation, sandbox.work, sandbox.runtime, allow_insecure=True)
    assert await sandbox.run_request(request) == 0
    assert sandbox.said == "Seccomp:\t0"


async def test_a_secret_is_a_file_in_memory_with_its_mode_and_never_in_the_root(sandbox: Sandbox) -> None:
    secret = ResolvedMount("/run/secrets/key", "secret", content=b"hush", mode=0o440, uid=1000, gid=7)
    probe = "cd /run/secrets; cat key; stat -c ' %a %u %g' key; echo no > key"
    assert await sandbox.run(probe, secret) == 1
    assert sandbox.said == "hush 440 1000 7"
    assert sorted(os.listdir(sandbox.root)) == ["bin", "dev", "etc", "proc", "sys"]


async def test_binds_are_written_through_or_read_only(sandbox: Sandbox) -> None:
    source = sandbox.work.parent / "source"
    source.mkdir()
    writable = ResolvedMount("/cache", "bind", source=source)
    assert await sandbox.run("echo hit > /cache/entry", writable) == 0
    assert (source / "entry").read_text() == "hit\n"
    read_only = ResolvedMount("/cache", "bind", source=source, read_only=True)
    assert await sandbox.run("cat /cache/entry; touch /cache/other", read_only) == 1
    assert sandbox.said == "hit"
    assert not (sandbox.root / "cache").exists()


async def test_a_tmpfs_has_its_size(sandbox: Sandbox) -> None:
    mount = ResolvedMount("/scratch", "tmpfs", size_bytes=1024 * 1024)
    await sandbox.run("grep ' /scratch ' /proc/mounts", mount)
    assert "size=1024k" in sandbox.said


async def test_a_script_is_executed_where_buildkit_puts_it(sandbox: Sandbox) -> None:
    assert await sandbox.execute((), script=ScriptFile("EOF", "#!/bin/sh\necho I am $0\n")) == 0
    assert sandbox.said == "I am /dev/pipes/EOF"


async def test_hosts_and_name_servers_are_there_for_the_run_only(sandbox: Sandbox) -> None:
    before = (sandbox.root / "etc").stat().st_mtime_ns
    await sandbox.run("cat /etc/hosts; grep -c nameserver /etc/resolv.conf", hosts=(("db", "10.1.2.3"),))
    assert "127.0.0.1\tlocalhost buildkitsandbox\n" in sandbox.said
    assert "10.1.2.3\tdb\n" in sandbox.said
    assert sorted(os.listdir(sandbox.root / "etc")) == ["group", "passwd"]
    assert (sandbox.root / "etc").stat().st_mtime_ns == before


async def test_a_program_that_is_not_there_is_named(sandbox: Sandbox) -> None:
    with pytest.raises(RunError, match="nothere"):
        await sandbox.execute(("nothere", "x"))


async def test_a_program_for_another_machine_is_explained(sandbox: Sandbox) -> None:
    program = bytearray((sandbox.root / "bin/busybox").read_bytes()[:4096])
    program[18:20] = (22).to_bytes(2, "little")  # s390x
    (sandbox.root / "bin/foreign").write_bytes(program)
    (sandbox.root / "bin/foreign").chmod(0o755)
    with pytest.raises(RunError, match=r"cannot run foreign of linux/s390x: register an emulator"):
        await sandbox.execute(("foreign",))


async def test_a_runtime_that_is_not_there_is_an_error(sandbox: Sandbox) -> None:
    sandbox.runtime = Runtime(sandbox.work / "nothing")
    with pytest.raises(RunError, match="cannot be set up"):
        await sandbox.run("true")


async def test_a_secret_in_the_environment_wins(sandbox: Sandbox) -> None:
    operation = RunOperation(("/bin/sh", "-c", "echo $TOKEN"), (("TOKEN", "public"),), "/", network="none")
    request = ContainerRequest(
        sandbox.root, operation, sandbox.work, sandbox.runtime, secret_environment=(("TOKEN", "hush"),)
    )
    await sandbox.run_request(request)
    assert sandbox.said == "hush"


async def test_cancelling_ends_everything_at_once(sandbox: Sandbox) -> None:
    with trio.CancelScope() as scope:
        sandbox.heard = scope.cancel
        await sandbox.run("(sleep 100 & echo begun; sleep 100)")
    assert scope.cancelled_caught
    assert sandbox.said == "begun"
