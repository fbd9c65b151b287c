"""Where the files under test are, and how they are read."""

from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parent.parent.parent
DEPLOY = PROJECT / "deploy"


class _StrictLoader(yaml.SafeLoader):
    """A key that stands twice is a mistake, not the last one's victory."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> list[Any]:
    """Every document of a file."""
    return list(yaml.load_all(path.read_text(), _StrictLoader))
