"""What changed from one root file system to another, and the layer that says so. PURE.

Compared as Docker compares: kind, mode, owner, device, link, capability; of anything but a directory size and time,
too. A file whose content changed and whose size and second of modification did not counts as the same. A directory in
which something changed is part of the layer. Whiteouts are explicit, and stand before their siblings (OCI image-spec
1.1, layer.md).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from agent.images.root_fs import OPAQUE, Node, RootFs
from agent.images.tar_entry import XATTR_PREFIX, Kind, TarEntry
from agent.images.tar_reader import TarReader
from agent.images.tar_writer import TarWriter, Write

_CAPABILITY = f"{XATTR_PREFIX}security.capability"
_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Changes:
    """Paths that were added or changed, and paths that are gone; opaque: directories that hide all that was below."""

    changed: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    opaque: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.changed or self.gone)

    def with_parents(self) -> "Changes":
        """Directories in which something changed, too."""
        parents = {parent for path in self.changed | self.gone for parent in _parents(path)}
        return Changes(self.changed | parents, self.gone, self.opaque)

    def settled(self, new: RootFs) -> "Changes":
        """podman says of what was removed and made anew that it is gone: it is there, and hides what was below."""
        again = {path: node for path in self.gone if (node := new.find(path)) is not None}
        below = {
            path
            for path, _ in (new.walk() if again else ())
            if any(path == one or path.startswith(f"{one}/") for one in again)
        }
        opaque = {path for path, node in again.items() if node.is_directory}
        return Changes(self.changed | below, self.gone - again.keys(), self.opaque | opaque)


def changes_between(old: RootFs, new: RootFs) -> Changes:
    found = Changes()
    _compare(old.root, new.root, "", found)
    return found.with_parents()


def write_layer(new: RootFs, changes: Changes, write: Write) -> None:
    """The changed members of `new`, which has one layer, and a whiteout for each that is gone."""
    writer = TarWriter(write)
    members: dict[tuple[int, int], tuple[Node, list[str]]] = {}
    marks = [*map(_whiteout, changes.gone), *(f"{path}/{OPAQUE}" for path in changes.opaque)]
    directories = [(mark, TarEntry(mark)) for mark in marks]
    for path, node in new.walk():
        if path not in changes.changed:
            continue
        if node.is_directory:
            directories.append((f"{path}/", node.entry))
        else:
            members.setdefault((node.layer, node.place), (node, []))[1].append(path)
    for name, entry in sorted(directories, key=lambda one: one[0].split("/")):
        writer.add(plain_entry(entry, name))
    for number, layer in enumerate(new.layers):
        reader, place = TarReader(layer()), 0
        while reader.next_entry() is not None:
            node_and_paths = members.get((number, place))
            place += 1
            if node_and_paths is not None:
                node, (first, *others) = node_and_paths
                writer.add(plain_entry(node.entry, first), iter(reader.read, b""))
                for other in others:
                    link = replace(node.entry, kind=Kind.HARD_LINK, size=0, link_name=first, pax={})
                    writer.add(plain_entry(link, other))
    writer.end()


def plain_entry(entry: TarEntry, name: str) -> TarEntry:
    """Under this name, as layers have them: times in whole seconds, owners by number alone."""
    seconds_ns = entry.mtime_ns // _SECOND_NS * _SECOND_NS
    return replace(entry, name=name, mtime_ns=seconds_ns, user="", group="")


def _compare(old: Node, new: Node, path: str, found: Changes) -> None:
    """Two directories."""
    before, now = old.names or {}, new.names or {}
    for base, name in now.items():
        inner = f"{path}/{base}" if path else base
        was = before.get(base)
        if was is None or _differ(was.node.entry, name.node.entry):
            found.changed.add(inner)
        if name.node.is_directory:
            below = was.node if was is not None and was.node.is_directory else Node(name.node.entry, names={})
            _compare(below, name.node, inner, found)
    found.gone |= {f"{path}/{base}" if path else base for base in before.keys() - now.keys()}


def _differ(old: TarEntry, new: TarEntry) -> bool:
    if _facts(old) != _facts(new):
        return True
    return old.kind is not Kind.DIRECTORY and (
        old.size != new.size or old.mtime_ns // _SECOND_NS != new.mtime_ns // _SECOND_NS
    )


def _facts(entry: TarEntry) -> tuple[object, ...]:
    link = entry.link_name if entry.kind is Kind.SYMLINK else ""
    return (
        entry.kind,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.device,
        link,
        entry.pax.get(_CAPABILITY),
    )


def _whiteout(path: str) -> str:
    folder, slash, base = path.rpartition("/")
    return f"{folder}{slash}.wh.{base}"


def _parents(path: str) -> Iterable[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
