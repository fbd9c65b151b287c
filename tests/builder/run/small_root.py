"""A root with busybox in it, and how a test runs something there."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.plan.steps import RunOperation
from builder.run.container import Stream, run_container
from builder.run.request import ContainerRequest, ResolvedMount
from builder.run.runtime import Runtime, find_runtime

_APPLETS = (
    "sh cat chmod cp echo env grep head id ip ls mkdir mount nc nslookup ping printf pwd rm sleep sort stat touch tr",
    "true wget",
)
PASSWD = "root:x:0:0:root:/root:/bin/sh\nbuilder:x:1000:1001::/home/builder:/bin/sh\n"
GROUP = "root:x:0:\nbuilders:x:1001:\nextra:x:2000:someone,builder\n"


def make_root(root: Path) -> Path:
    (root / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for name in " ".join(_APPLETS).split():
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/group").write_text(GROUP)
    return root


@dataclass(slots=True)
class Sandbox:
    """Runs shell text in `root`, and keeps what it says."""

    root: Path
    work: Path
    runtime: Runtime = field(default_factory=find_runtime)
    stdout: bytes = b""
    stderr: bytes = b""
    heard: Callable[[], None] = lambda: None

    async def run(self, text: str, *mounts: ResolvedMount, **operation: Any) -> int:
        return await self.execute(("/bin/sh", "-c", text), *mounts, **operation)

    async def execute(self, arguments: tuple[str, ...], *mounts: ResolvedMount, **operation: Any) -> int:
        values: dict[str, Any] = {"environment": (), "directory": "/", "network": "none"} | operation
        return await self.run_request(
            ContainerRequest(
                self.root,
                RunOperation(arguments, **values),
                self.work,
                self.runtime,
                mounts,
            )
        )

    async def run_request(self, request: ContainerRequest) -> int:
        self.stdout = self.stderr = b""
        return await run_container(request, self._on_output)

    def _on_output(self, stream: Stream, piece: bytes) -> None:
        self.heard()
        if stream == "stdout":
            self.stdout += piece
        else:
            self.stderr += piece

    @property
    def said(self) -> str:
        return self.stdout.decode().strip()
