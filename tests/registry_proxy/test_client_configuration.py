"""What a person is told to write into the configuration of container engines."""

import json
import tomllib
from pathlib import Path

import pytest

from agent.settings.address import TcpAddress, UnixAddress
from registry_proxy.client_configuration import (
    ClientFile,
    as_reached_here,
    client_configuration,
    client_files,
)

_MIRROR = TcpAddress("127.0.0.1", 5050)
_UPSTREAMS = [("docker.io", "https://registry-1.docker.io"), ("quay.io", "https://quay.io")]


def _files(default_upstream: str = "docker.io") -> dict[str, ClientFile]:
    return {file.path: file for file in client_files(_MIRROR, _UPSTREAMS, default_upstream)}


def test_docker_is_given_its_mirror_of_docker_hub() -> None:
    daemon = json.loads(_files()["/etc/docker/daemon.json"].content)
    assert daemon == {"registry-mirrors": ["http://127.0.0.1:5050"]}


def test_docker_is_given_no_mirror_that_would_answer_for_another_registry() -> None:
    assert "/etc/docker/daemon.json" not in _files("quay.io")


def test_containerd_may_pull_and_resolve_and_never_push() -> None:
    hub = tomllib.loads(_files()["/etc/containerd/certs.d/docker.io/hosts.toml"].content)
    assert hub == {
        "server": "https://registry-1.docker.io",
        "host": {"http://127.0.0.1:5050": {"capabilities": ["pull", "resolve"]}},
    }
    rest = tomllib.loads(_files()["/etc/containerd/certs.d/_default/hosts.toml"].content)
    assert "server" not in rest
    assert rest["host"] == hub["host"]


def test_podman_is_given_every_registry_with_its_own_path() -> None:
    registries = tomllib.loads(_files()["/etc/containers/registries.conf.d/50-shoal.conf"].content)[
        "registry"
    ]
    assert registries == [
        {
            "prefix": name,
            "location": name,
            "mirror": [{"location": f"127.0.0.1:5050/{name}", "insecure": True}],
        }
        for name, _ in _UPSTREAMS
    ]


@pytest.mark.parametrize(
    ("listen", "reached"),
    [("0.0.0.0", "127.0.0.1:5050"), ("::", "[::1]:5050"), ("10.0.0.7", "10.0.0.7:5050")],
)
def test_a_wildcard_is_reached_on_loopback(listen: str, reached: str) -> None:
    assert str(as_reached_here(TcpAddress(listen, 5050))) == reached


def test_a_mirror_on_a_unix_socket_is_told_to_be_out_of_reach() -> None:
    text = client_configuration(UnixAddress(Path("/run/mirror.sock")), _UPSTREAMS, "docker.io")
    assert "proxy.listen" in text
    assert "registry-mirrors" not in text
