"""`Bundle`: what a runtime reads, in memory: config.json, secrets, the script, resolv.conf, hosts, the runtime's state.

It is a tmpfs of its own, only root's, so that no secret (config.json has some in the environment) comes to a disk.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builder.run.kernel import MS_NODEV, MS_NOSUID, mount, unmount

PIPES = "/dev/pipes"  # where BuildKit puts the script of a here-document


class Bundle:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.pid_file = directory / "pid"
        self.log = directory / "log"

    def open(self) -> None:
        self.directory.mkdir()
        mount("tmpfs", self.directory, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700")

    def close(self) -> None:
        """Also of one that a killed process left."""
        unmount(self.directory)
        if self.directory.is_dir():
            self.directory.rmdir()

    def write_configuration(self, configuration: Mapping[str, Any]) -> None:
        content = json.dumps(configuration, ensure_ascii=False).encode("utf-8", "surrogateescape")
        self.add_file("config.json", content, 0o600)

    def add_file(self, name: str, content: bytes, mode: int, uid: int = 0, gid: int = 0) -> Path:
        """Its path on this machine; `name` may have a directory, which everyone may enter."""
        path = self.directory / name
        if not path.parent.is_dir():
            path.parent.mkdir()
            path.parent.chmod(0o755)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(content)
            os.fchown(fd, uid, gid)
            os.fchmod(fd, mode)
        return path
