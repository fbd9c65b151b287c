"""The configuration files that podman, skopeo and buildah share: mirrors, and where images are kept."""

from collections.abc import Mapping
from pathlib import Path

_STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{directory}/root"
runroot = "{directory}/runroot"
"""


def registries_conf(mirrors: Mapping[str, str], *, insecure: tuple[str, ...] = ()) -> str:
    """A registries.conf (version 2). `mirrors` maps a registry to its mirror's location, `docker.io` to
    `127.0.0.1:5050/docker.io`; `insecure` registries are spoken to without TLS."""
    sections = ['unqualified-search-registries = ["docker.io"]', 'short-name-mode = "disabled"']
    for registry, location in mirrors.items():
        sections.append(f'[[registry]]\nprefix = "{registry}"\nlocation = "{registry}"')
        if registry in insecure:
            sections.append("insecure = true")
        sections.append(f'[[registry.mirror]]\nlocation = "{location}"\ninsecure = true')
    unmirrored = [registry for registry in insecure if registry not in mirrors]
    sections += [f'[[registry]]\nlocation = "{registry}"\ninsecure = true' for registry in unmirrored]
    return "\n".join(sections) + "\n"


def storage_conf(directory: Path) -> str:
    """A storage.conf that keeps everything below `directory`."""
    return _STORAGE_CONF.format(directory=directory)
