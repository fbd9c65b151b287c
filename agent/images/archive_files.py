"""`ArchiveFiles`: the members of an image archive, staged: files by name, and links between them by name alone.

Invariant: nothing is unpacked. A member is a file that is staged and hashed, or a link that leads to one (older Docker
and skopeo write layers that repeat so); every name lies inside the archive, and none comes twice with other content. A
file below blobs/ is what its name says. Limits: members, links that follow each other, and the bytes of what is read
into memory; what is staged is limited by the store's room.
"""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.content.digest import Digest
from agent.content.errors import ContentError, InputError
from agent.images.tar_entry import Kind, TarEntry, safe_path
from agent.images.tar_reader import Read, TarReader
from agent.store.staging import StagedBlob, Staging

_MAX_MEMBERS = 100_000
_MAX_LINKS = 8

OnBytes = Callable[[int], None]
"""So many bytes more were read."""


def unseen(_count: int) -> None:
    """Nobody watches."""


@dataclass(slots=True)
class ArchiveFiles:
    files: dict[str, StagedBlob] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def find(self, name: str) -> StagedBlob | None:
        """Links are followed. Raises ContentError for a name or a link that leads out of the archive."""
        path = safe_path(name)
        for _ in range(_MAX_LINKS):
            if path in self.files:
                return self.files[path]
            if path not in self.links:
                return None
            path = self.links[path]
        raise ContentError(f"archive has too many links behind {name[:200]!r}")

    def get(self, name: str) -> StagedBlob:
        """Raises ContentError where it is missing."""
        found = self.find(name)
        if found is None:
            raise ContentError(f"archive lacks {name[:200]!r}: it is truncated, or no image archive")
        return found

    def blob(self, digest: Digest) -> StagedBlob | None:
        return self.find(f"blobs/{digest.algorithm}/{digest.hex}")

    def read(self, name: str, limit_bytes: int) -> bytes:
        """All of a small file. Raises ContentError where it is missing or larger."""
        return read_small(self.get(name), name, limit_bytes)


def read_small(blob: StagedBlob, name: str, limit_bytes: int) -> bytes:
    if blob.size > limit_bytes:
        raise ContentError(f"{name[:200]!r} has {blob.size} bytes: at most {limit_bytes} are accepted")
    return b"".join(blob.pieces())


def stage_archive(read: Read, staging: Staging, on_bytes: OnBytes) -> ArchiveFiles:
    """Reads a tar to its end. Raises ContentError, DiskError."""
    reader, found = TarReader(read, _MAX_MEMBERS), ArchiveFiles()
    while (entry := reader.next_entry()) is not None:
        path = safe_path(entry.name)
        match entry.kind:
            case Kind.DIRECTORY:
                continue
            case Kind.FILE:
                _add_file(found, path, reader, staging, on_bytes)
            case Kind.SYMLINK | Kind.HARD_LINK:
                _add_link(found, path, entry)
            case _:
                raise ContentError(f"archive member {entry.name[:200]!r} is a device or a pipe")
    return found


def _add_file(found: ArchiveFiles, path: str, reader: TarReader, staging: Staging, on_bytes: OnBytes) -> None:
    blob = staging.new()
    for piece in iter(reader.read, b""):
        blob.write(piece)
        on_bytes(len(piece))
    blob.seal()
    _check_name(path, blob)
    before = found.files.get(path)
    if path in found.links or (before is not None and before.digest != blob.digest):
        raise ContentError(f"archive has {path[:200]!r} twice, with different content")
    if before is None:
        found.files[path] = blob
    else:
        staging.drop(blob)


def _add_link(found: ArchiveFiles, path: str, entry: TarEntry) -> None:
    target = entry.link_name
    if entry.kind is Kind.SYMLINK and not target.startswith("/"):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    target = safe_path(target)
    if path in found.files or found.links.get(path, target) != target:
        raise ContentError(f"archive has {path[:200]!r} twice, with different content")
    found.links[path] = target


def _check_name(path: str, blob: StagedBlob) -> None:
    folder, _, rest = path.partition("/")
    algorithm, _, hex_digits = rest.partition("/")
    if folder != "blobs" or not hex_digits:
        return
    try:
        digest = Digest.parse(f"{algorithm}:{hex_digits}")
    except InputError:
        raise ContentError(f"archive member {path[:200]!r} is no blob's name") from None
    if digest.algorithm == "sha256":
        actual = blob.digest
    else:
        hasher = digest.new_hasher()
        for piece in blob.pieces():
            hasher.update(piece)
        actual = Digest(digest.algorithm, hasher.hexdigest())
    if actual != digest:
        raise ContentError(f"archive member {path[:200]!r} does not match its name: it is {actual}")
