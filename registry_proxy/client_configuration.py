"""`client_configuration`: what to write into the configuration of Docker, containerd and podman so that they pull
through this mirror. PURE.

Where each file is and what it may say: moby's registry-mirrors, containerd's hosts.md, containers-registries.conf(5).
- Docker's registry-mirrors serve docker.io alone, and never say so.
- containerd names the registry in ?ns=, so one `_default` serves every registry. A plain http host must carry no TLS
  setting, or https is tried first; `push` is never granted to a mirror; `_default` has no server.
- podman, buildah, skopeo and CRI-O name nobody: the registry is the first part of the mirror's path.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.content.reference import DOCKER_HUB
from agent.settings.address import Address, TcpAddress

_HOST = """\
[host."http://{mirror}"]
  capabilities = ["pull", "resolve"]
"""
_PODMAN = """\
[[registry]]
prefix = "{registry}"
location = "{registry}"
[[registry.mirror]]
location = "{mirror}/{registry}"
insecure = true
"""


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A file of one client, and what to write there."""

    client: str
    path: str
    content: str
    note: str = ""


def client_files(
    mirror: TcpAddress, upstreams: Sequence[tuple[str, str]], default_upstream: str
) -> list[ClientFile]:
    """`upstreams`: registry and base URL of each."""
    url = f"http://{mirror}"
    host = _HOST.format(mirror=mirror)
    files = []
    if default_upstream == DOCKER_HUB:
        content = f'{{"registry-mirrors": ["{url}"]}}\n'
        files.append(
            ClientFile(
                "Docker", "/etc/docker/daemon.json", content, "merge it; then: systemctl reload docker"
            )
        )
    for registry, upstream_url in upstreams[:1]:
        files.append(
            ClientFile(
                "containerd",
                f"/etc/containerd/certs.d/{registry}/hosts.toml",
                f'server = "{upstream_url}"\n{host}',
            )
        )
    files.append(
        ClientFile(
            "containerd", "/etc/containerd/certs.d/_default/hosts.toml", host, "for every other registry"
        )
    )
    blocks = [_PODMAN.format(registry=registry, mirror=mirror) for registry, _ in upstreams]
    files.append(
        ClientFile(
            "podman, buildah, skopeo, CRI-O",
            "/etc/containers/registries.conf.d/50-shoal.conf",
            "\n".join(blocks),
        )
    )
    return files


def client_configuration(listen: Address, upstreams: Sequence[tuple[str, str]], default_upstream: str) -> str:
    """All of it as text, each file's path above its lines."""
    if not isinstance(listen, TcpAddress):
        return (
            f"# Docker, containerd and podman reach no mirror at {listen}: give proxy.listen a HOST:PORT.\n"
        )
    mirror = as_reached_here(listen)
    files = client_files(mirror, upstreams, default_upstream)
    return "\n".join(_shown(file) for file in files)


def as_reached_here(listen: TcpAddress) -> TcpAddress:
    """A wildcard is no address to connect to; loopback is where clients of this machine find it."""
    if not listen.is_wildcard:
        return listen
    return TcpAddress("::1" if ":" in listen.host else "127.0.0.1", listen.port)


def _shown(file: ClientFile) -> str:
    note = f" ({file.note})" if file.note else ""
    return f"# {file.client}: {file.path}{note}\n{file.content}"
