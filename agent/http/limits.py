"""`HttpLimits`: what one client may cost the server, in bytes, seconds and connections."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    header_bytes: int = 64 * 1024
    """A request line with its header fields; beyond it the answer is 431."""
    header_seconds: float = 20.0
    """From the first byte of a request to the end of its header; beyond it the answer is 408."""
    idle_seconds: float = 120.0
    """How long a connection without a request is kept."""
    body_seconds: float = 60.0
    """How long a request's body may bring no byte."""
    write_seconds: float = 60.0
    """How long a client may accept no byte of an answer."""
    connections: int = 4096
    """At the limit the longest idle connection makes room; where none is idle, new ones wait."""
