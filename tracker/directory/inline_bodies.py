"""`InlineBodies`: small contents, manifests above all, that travel inside the answers. At most CAPACITY_BYTES, LRU.

Invariant: every body matches its digest.
"""

from collections import OrderedDict

from agent.content.digest import Digest

CAPACITY_BYTES = 64 * 1024 * 1024


class InlineBodies:
    def __init__(self, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._capacity_bytes = capacity_bytes
        self._bodies: OrderedDict[Digest, bytes] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._bodies)

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._bodies

    def put(self, digest: Digest, body: bytes) -> bool:
        """False where the body is not what the digest names: nothing is kept then."""
        if digest in self._bodies:
            return True
        hasher = digest.new_hasher()
        hasher.update(body)
        if not digest.matches(hasher):
            return False
        self._bodies[digest] = body
        self.bytes += len(body)
        while self.bytes > self._capacity_bytes:
            _, dropped = self._bodies.popitem(last=False)
            self.bytes -= len(dropped)
        return True

    def get(self, digest: Digest) -> bytes | None:
        body = self._bodies.get(digest)
        if body is not None:
            self._bodies.move_to_end(digest)
        return body
