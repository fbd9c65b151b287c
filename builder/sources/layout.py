"""`borrow_layout`: an image of an OCI layout on this machine, in the store as long as a build needs it. Blocking."""

from contextlib import ExitStack
from pathlib import Path

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.images.borrowing import borrowed
from agent.images.layout_directory import open_layout
from agent.store.store import Store
from builder.layers.interruption import stop_if_cancelled

TRANSPORT = "oci-layout://"


def borrow_layout(where: str, store: Store, stack: ExitStack) -> str:
    """where: `DIRECTORY[:NAME][@DIGEST]`. What the image can be found by. Raises InputError, NotFound, ContentError,
    DiskError."""
    directory, name = parse_layout(where)
    _, at, digest = where.partition("@")
    image = stack.enter_context(borrowed(store, open_layout(directory, name), "", _stop))
    if at and Digest.parse(digest) != image.root.digest:
        raise InputError(f"the image there is {image.root.digest}")
    return f"oci-layout@{image.root.digest}"


def parse_layout(where: str) -> tuple[Path, str]:
    """The directory, which is there, and the name. Raises InputError."""
    directory, _, name = where.partition("@")[0].partition(":")
    if not directory:
        raise InputError(f"expected {TRANSPORT}DIRECTORY[:NAME][@DIGEST]")
    if not Path(directory).is_dir():
        raise InputError(f"there is no directory {directory}")
    return Path(directory), name


def _stop(_read_bytes: int) -> None:
    stop_if_cancelled()
