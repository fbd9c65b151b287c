"""Chain IDs: the name of a stack of layers, by what is in them and in which order. PURE.

OCI image-spec 1.1, config.md "Layer ChainID"; what Docker's own store calls layerdb is keyed by them.
"""

from collections.abc import Iterable

from agent.content.digest import Digest


def chain_ids(diff_ids: Iterable[Digest]) -> list[Digest]:
    """Of the lowest layer first: each names itself and everything beneath it.

    ChainID(1) = DiffID(1); ChainID(n) = sha256(ChainID(n-1) + " " + DiffID(n)).
    """
    chain: list[Digest] = []
    for diff_id in diff_ids:
        chain.append(Digest.of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return chain
