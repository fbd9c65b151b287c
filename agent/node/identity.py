"""Who this node is: its signing key, kept in the data directory, made at the first start."""

import os
import secrets
from pathlib import Path

from agent.content.errors import DiskError
from agent.wire.vouch import NodeKey

_SEED_BYTES = 32


def load_node_key(data_dir: Path, cluster: str) -> NodeKey:
    """Raises DiskError where the key can be neither read nor made."""
    path = data_dir / "node.key"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        seed = path.read_bytes() if path.exists() else _make(path)
    except OSError as error:
        raise DiskError(f"cannot read or make the node's key {path}: {error.strerror}") from None
    if len(seed) != _SEED_BYTES:
        raise DiskError(
            f"{path} is not a node's key: it has {len(seed)} bytes, not {_SEED_BYTES}; remove it to get a new one"
        )
    return NodeKey.from_seed(seed, cluster)


def _make(path: Path) -> bytes:
    """Whole or not at all: several processes may start on one directory at the same time."""
    seed = secrets.token_bytes(_SEED_BYTES)
    temporary = path.with_name(f".node.key.{os.getpid()}")
    temporary.touch(mode=0o600)
    temporary.write_bytes(seed)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return path.read_bytes()
    finally:
        temporary.unlink()
    return seed
