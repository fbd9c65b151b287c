"""Which real components there are, and whether this machine has them: what `@pytest.mark.real("docker")` asks for.

`tests/real-components.sh` knows the packages that bring them.
"""

import os
from collections.abc import Iterable
from pathlib import Path

_FILES = {
    "runc": ("/usr/sbin/runc",),
    "crun": ("/usr/bin/crun",),
    "nft": ("/usr/sbin/nft",),
    "ssh": ("/usr/bin/ssh-add", "/usr/bin/ssh-agent", "/usr/bin/ssh-keygen"),
    "iptables": ("/usr/sbin/iptables",),
    "docker": ("/usr/sbin/dockerd", "/usr/bin/docker", "/usr/bin/containerd", "/usr/sbin/runc"),
    "containerd": ("/usr/bin/containerd", "/usr/bin/ctr", "/usr/sbin/runc"),
    "podman": ("/usr/bin/podman", "/usr/sbin/runc"),
    "skopeo": ("/usr/bin/skopeo",),
    "buildah": ("/usr/bin/buildah",),
    "registry": ("/usr/bin/docker-registry",),
    "namespaces": ("/bin/ip", "/sbin/tc"),
    "busybox": ("/bin/busybox",),
    "compressors": ("/usr/bin/bzip2", "/usr/bin/xz", "/usr/bin/zstd"),
    "curl": ("/usr/bin/curl",),
    "faketime": ("/usr/bin/faketime",),
    "nginx": ("/usr/sbin/nginx",),
    "umoci": ("/usr/bin/umoci",),
    "debootstrap": ("/usr/sbin/debootstrap",),
    "systemd": ("/usr/bin/systemd-analyze",),
}


def missing_components(names: Iterable[str]) -> list[str]:
    """Of `names`, or of all where none are given, those that cannot be used here. KeyError for an unknown name."""
    wanted = list(names) or list(_FILES)
    lacking = [name for name in wanted if not all(Path(file).exists() for file in _FILES[name])]
    return lacking if os.geteuid() == 0 else [*lacking, "root"]
