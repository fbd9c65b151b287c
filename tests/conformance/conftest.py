from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.node.node import Node
from tests.conformance.endpoint import Client, open_endpoint, open_pushable


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """Everything may be deleted."""
    allowed = {"push__delete_tags": "true", "push__delete_manifests": "true", "push__delete_blobs": "true"}
    async with open_pushable(tmp_path / "node", **allowed) as running:
        yield running


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Client]:
    async with open_endpoint(node) as opened:
        yield opened
