"""`ShoalCommand`: `shoal` on a data directory of its own, as a process, with and without an agent beside it."""

import os
from dataclasses import dataclass
from pathlib import Path

from tests.clients.command import Output, run
from tests.clients.shoal_node import SHOAL


@dataclass(frozen=True, slots=True)
class ShoalCommand:
    directory: Path

    async def shoal(
        self, command: str, *arguments: str | Path, stdin: bytes = b"", check: bool = True
    ) -> Output:
        self.directory.mkdir(parents=True, exist_ok=True)
        environment = {
            "SHOAL_NODE_DATA_DIR": str(self.directory),
            "SHOAL_STORE_FLOOR_FREE": "0",
            "SHOAL_CONFIG": os.devnull,
        }
        return await run(*SHOAL, command, *arguments, environment=environment, stdin=stdin, check=check)

    async def image_id(self, reference: str) -> str:
        return (await self.shoal("inspect", "--format", "{{.Id}}", reference)).stdout.strip()
