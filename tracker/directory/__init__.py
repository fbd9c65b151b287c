"""PURE. Swarms, peers, leases and tag records, and the policies that hand them out; the server is elsewhere."""
