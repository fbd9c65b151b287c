"""`Request`: what a process says of itself, so that another can carry its command out in its place.

On the wire: four bytes of length, then fields that end in a NUL, which no argument and no variable of an environment
can contain. With it go four descriptors: standard input, output and error, and the working directory. It is sent when
the server has greeted, which answers with the process id of the one that carries it out, four bytes, and at the end
with its exit status, one byte; it declines by hanging up.

Imports nothing: the client loads it on the way to every command. That is why it is no dataclass either.
"""

GREETING = b"g"
DESCRIPTORS = 4
LENGTH_BYTES = 4
# Linux lets arguments and environment have a quarter of the stack: 2 MiB of the usual 8.
MAX_REQUEST_BYTES = 16 * 1024 * 1024


class Request:
    """place: the Python and the file of the client's code. arguments: without the program's name. environment:
    NAME=VALUE each."""

    __slots__ = ("arguments", "encoding", "environment", "place", "umask")

    def __init__(
        self, place: bytes, encoding: bytes, umask: int, arguments: list[bytes], environment: list[bytes]
    ) -> None:
        self.place = place
        self.encoding = encoding
        self.umask = umask
        self.arguments = arguments
        self.environment = environment

    def encode(self) -> bytes:
        head = [self.place, self.encoding, b"%d" % self.umask, b"%d" % len(self.arguments)]
        body = b"\0".join([*head, *self.arguments, *self.environment])
        return len(body).to_bytes(LENGTH_BYTES, "big") + body


def decode(body: bytes) -> Request:
    """Without the length. Raises ValueError."""
    place, encoding, umask, count, *rest = body.split(b"\0")
    arguments = int(count)
    if not 0 <= arguments <= len(rest):
        raise ValueError("a request has fewer arguments than it says")
    return Request(place, encoding, int(umask), rest[:arguments], rest[arguments:])
