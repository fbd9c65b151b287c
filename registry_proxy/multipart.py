"""`MultipartLayout`: what stands around the parts of a 206 with several ranges (RFC 9110 14.6). PURE.

The boundary comes from the blob's own digest: the same in every answer, so that the length is known beforehand, and
nothing that the blob's author could place inside it, who would have to know a hash of what they are writing.
"""

from dataclasses import dataclass

from agent.content.digest import Digest
from agent.content.media_types import OCTET_STREAM
from registry_proxy.ranges import ByteRange

_BOUNDARY_DIGITS = 48  # RFC 2046: a boundary has at most 70 characters


@dataclass(frozen=True, slots=True)
class MultipartLayout:
    boundary: str
    size: int

    @classmethod
    def of(cls, digest: Digest, size: int) -> "MultipartLayout":
        return cls(f"shoal-{digest.hex[:_BOUNDARY_DIGITS]}", size)

    @property
    def content_type(self) -> str:
        return f"multipart/byteranges; boundary={self.boundary}"

    def preamble(self, part: ByteRange) -> bytes:
        return (
            f"\r\n--{self.boundary}\r\nContent-Type: {OCTET_STREAM}\r\n"
            f"Content-Range: bytes {part.start}-{part.stop - 1}/{self.size}\r\n\r\n"
        ).encode()

    @property
    def trailer(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()
