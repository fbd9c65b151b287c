"""What a RUN sees of its container, here and in a real BuildKit on the same machine: the same."""

import difflib
import re
import tarfile
from pathlib import Path

import pytest

from tests.builder.run.small_root import Sandbox
from tests.clients.command import run
from tests.clients.docker_engine import open_docker_engine

_PROBE = r"""
id; env | sort; pwd; cat /proc/sys/kernel/hostname; cat /etc/hosts
grep -E '^(Cap|NoNew|Seccomp:|Groups)' /proc/self/status
cat /proc/self/oom_score_adj; ulimit -a
for file in /dev/* /dev/*/* / /etc /proc/kcore /tmp /made; do stat -c '%n %F %a %u:%g %t,%T' $file; done
sort -k2 /proc/self/mounts
cat /proc/kcore /proc/timer_list /proc/keys 2>&1; ls /sys/firmware /proc/acpi /proc/scsi 2>&1
touch /proc/sys/x /sys/x 2>&1; mount -t tmpfs x /tmp 2>&1; ip addr
"""
_DOCKERFILE = """\
FROM base
ENV COLOUR=blue
WORKDIR /made
RUN chmod 777 /made
USER {user}
COPY probe /probe
RUN sh /probe > /made/said 2>&1
"""
# How the root is mounted and of what, and what this BuildKit (20.10) did not do yet: give the own group as a further
# one (CVE-2023-25173), mask /proc/interrupts (Docker 27).
_DIFFERENT = re.compile(r"^(\S+ / |\S+ /etc/(hosts|resolv\.conf) |\S+ /proc/interrupts |Groups:)")


@pytest.mark.real("docker", "runc", "busybox")
@pytest.mark.parametrize("user", ["", "builder"])
async def test_a_run_sees_what_it_sees_in_buildkit(sandbox: Sandbox, user: str) -> None:
    theirs = await _buildkit(sandbox.root, sandbox.work.parent, user)
    (sandbox.root / "probe").write_text(_PROBE)
    (sandbox.root / "made").mkdir()
    (sandbox.root / "made").chmod(0o777)
    probe = "sh /probe > /made/said 2>&1"
    assert await sandbox.run(probe, environment=(("COLOUR", "blue"),), directory="/made", user=user) == 0
    ours = (sandbox.root / "made/said").read_text()
    assert "\n".join(difflib.unified_diff(_comparable(theirs), _comparable(ours), lineterm="", n=0)) == ""


async def _buildkit(root: Path, scratch: Path, user: str) -> str:
    context = scratch / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(_DOCKERFILE.format(user=user or "root"))
    (context / "probe").write_text(_PROBE)
    with tarfile.open(scratch / "base.tar", "w") as base:
        base.add(root, arcname=".")
    async with open_docker_engine(scratch / "d") as engine:
        await engine.docker("import", scratch / "base.tar", "base")
        environment = {"DOCKER_HOST": f"unix://{engine.socket}", "DOCKER_BUILDKIT": "1"}
        await run(
            "/usr/bin/docker", "build", "--network=none", "--tag=probed", context, environment=environment
        )
        return await engine.run_image("probed", "cat", "/made/said")


def _comparable(text: str) -> list[str]:
    lines = text.splitlines()
    assert len(lines) > 60
    return [line for line in lines if not _DIFFERENT.match(line) and not line.startswith("uid=")]
