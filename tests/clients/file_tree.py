"""`tree_of`: what a root file system is, read from a tar by Python's own tarfile, to be compared with another."""

import hashlib
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

# What engines put into every container they export.
OF_ENGINES = (
    ".dockerenv",
    "dev",
    "proc",
    "sys",
    "run",
    "etc/hosts",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/mtab",
)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """`same_as`: all paths of the inode, where there are several. Times in whole seconds, as Docker exports them."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    mtime: int
    link: str
    content: str
    xattrs: tuple[tuple[str, str], ...]
    device: tuple[int, int]
    same_as: frozenset[str] = frozenset()


def tree_of(tar: Path) -> dict[str, FileFacts]:
    """Without what engines add, the directory `etc` (which they write into), and the root."""
    found: dict[str, FileFacts] = {}
    links: dict[str, set[str]] = {}
    with tarfile.open(tar) as archive:
        for member in archive:
            path = member.name.strip("/").removeprefix("./")
            if path in ("", ".", "etc") or any(
                path == name or path.startswith(f"{name}/") for name in OF_ENGINES
            ):
                continue
            if member.islnk():
                target = member.linkname.removeprefix("./").strip("/")
                links.setdefault(target, {target}).add(path)
                continue
            data = archive.extractfile(member) if member.isreg() else None
            xattrs = {
                key.removeprefix("SCHILY.xattr."): value
                for key, value in member.pax_headers.items()
                if key.startswith("SCHILY.xattr.")
            }
            found[path] = FileFacts(
                member.type,
                member.mode & 0o7777,
                (member.uid, member.gid),
                int(member.mtime),
                member.linkname if member.issym() else "",
                hashlib.sha256(data.read()).hexdigest() if data else "",
                tuple(sorted(xattrs.items())),
                (member.devmajor, member.devminor) if member.isdev() and not member.isfifo() else (0, 0),
            )
    for target, names in links.items():
        facts = found[target]
        for name in names:
            found[name] = replace(facts, same_as=frozenset(names))
    return found
