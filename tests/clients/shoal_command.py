"""`ShoalCommand`: `shoal` on a data directory of its own, as a process, with and without an agent beside it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.command import Output, run
from tests.clients.shoal_node import SHOAL


@dataclass(frozen=True, slots=True)
class ShoalCommand:
    """`environment` is added to its own: which engine it finds, say."""

    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str | Path] = SHOAL

    async def shoal(
        self,
        command: str,
        *arguments: str | Path,
        stdin: bytes = b"",
        check: bool = True,
        deadline_seconds: float = 60,
    ) -> Output:
        self.directory.mkdir(parents=True, exist_ok=True)
        environment = {
            "SHOAL_NODE_DATA_DIR": str(self.directory),
            "SHOAL_STORE_FLOOR_FREE": "0",
            "SHOAL_CONFIG": os.devnull,
            **self.environment,
        }
        return await run(
            *self.program,
            command,
            *arguments,
            environment=environment,
            stdin=stdin,
            check=check,
            deadline_seconds=deadline_seconds,
        )

    async def image_id(self, reference: str) -> str:
        return (await self.shoal("inspect", "--format", "{{.Id}}", reference)).stdout.strip()
