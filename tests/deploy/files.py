"""Where the files under test are, and how they are read."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parent.parent.parent
DEPLOY = PROJECT / "deploy"


@cache
def read_yaml(path: Path) -> list[Any]:
    """Every document of a file, not to be changed: the parser takes its time, so it reads each file once."""
    documents = []
    loader = yaml.SafeLoader(path.read_text())
    while loader.check_node():
        node = loader.get_node()
        _check_keys(node)
        documents.append(loader.construct_document(node))
    return documents


def _check_keys(node: Any) -> None:
    """A key that stands twice is a mistake, not the last one's victory."""
    if isinstance(node, yaml.SequenceNode):
        for inner in node.value:
            _check_keys(inner)
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"{twice} more than once{node.start_mark}"
        for _, inner in node.value:
            _check_keys(inner)
