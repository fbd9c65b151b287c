"""PURE vocabulary that everyone shares: digests, references, documents, chunk geometry, errors. No I/O, no clock."""
