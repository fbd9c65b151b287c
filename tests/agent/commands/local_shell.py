"""Runs commands of `shoal` on a store, in this process and without an agent."""

import json
import logging
import os
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from shoal import main


class LocalShell:
    """Nothing of this machine's own configuration takes part."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._environment = {name: None for name in os.environ if name.startswith("SHOAL_")} | {
            "SHOAL_NODE_DATA_DIR": str(data_dir),
            "SHOAL_STORE_FLOOR_FREE": "0",
            "SHOAL_CONFIG": os.devnull,
        }

    def run(self, *arguments: str, stdin: bytes | str = b"", code: int = 0) -> Result:
        root = logging.getLogger()
        handlers, level = list(root.handlers), root.level
        try:
            result = CliRunner().invoke(main, arguments, input=stdin, env=self._environment)
        finally:  # a command sets up the logs of the whole process
            root.handlers, root.level = handlers, level
            logging.captureWarnings(False)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    def lines(self, *arguments: str) -> list[str]:
        return self.run(*arguments).stdout.splitlines()

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments).stdout)
