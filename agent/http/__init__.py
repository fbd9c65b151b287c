"""A small HTTP/1.1 server on h11 with file bodies by sendfile; proxy and tracker mount handlers on it."""
