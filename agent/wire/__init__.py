"""PURE. Messages and msgpack framing of the peer link and of tracker calls, every size capped."""
