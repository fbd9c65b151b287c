"""`ChunkState`: how far one chunk of a blob has come at one node (swarm.py says what leads from each to each)."""

from enum import Enum


class ChunkState(Enum):
    MISSING = "missing"
    INCOMING = "incoming"
    CHECKING = "checking"
    READING = "reading"
    HAVE = "have"
