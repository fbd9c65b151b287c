"""`RootFs`: the root file system that layers make one above the other, as a tree of tar members. PURE.

Nothing is unpacked: layers are applied in memory, by name (a few hundred bytes a file), and the data is read once more
when the tree goes out as a tar. OCI image-spec 1.1, layer.md:
- A whiteout `.wh.NAME` and an opaque directory `.wh..wh..opq` hide what lower layers have, never their own layer's.
- A directory above a directory keeps what is in it and takes the new owner, mode and time; anything else replaces.
- A hard link is another name of a file that is there already; it stays that when the other name goes.
Refused are names outside of the root, and a member below something that the same layer made no directory (a symlink,
say): where it would end depends on who unpacks it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from agent.content.errors import ContentError
from agent.images.layer_facts import check_layer_name
from agent.images.tar_entry import XATTR_PREFIX, Kind, TarEntry, safe_path
from agent.images.tar_reader import MAX_ENTRIES, Read, TarReader
from agent.images.tar_writer import TarWriter, Write

OpenLayer = Callable[[], Read]
"""A layer's plain tar from its beginning."""

_WHITEOUT, OPAQUE, _AUFS = ".wh.", ".wh..wh..opq", ".wh..wh."
_HIDDEN_XATTRS = ("trusted.overlay.", "user.overlay.")


@dataclass(slots=True, eq=False)
class Node:
    """An inode. layer, place: whose member it is, and the how manieth there; (-1, -1) for a directory nobody made."""

    entry: TarEntry
    layer: int = -1
    place: int = -1
    names: "dict[str, Name] | None" = None

    @property
    def is_directory(self) -> bool:
        return self.names is not None


@dataclass(slots=True, eq=False)
class Name:
    """`layer`: the one that gave this name last."""

    node: Node
    layer: int


def _implied_directory() -> Node:
    return Node(TarEntry("", Kind.DIRECTORY, mode=0o755), names={})


@dataclass(slots=True)
class RootFs:
    layers: list[OpenLayer] = field(default_factory=list)
    root: Node = field(default_factory=_implied_directory)
    count: int = 0

    @classmethod
    def of(cls, layers: Sequence[OpenLayer]) -> "RootFs":
        """The lowest first. Raises ContentError, and what reading them raises."""
        made = cls()
        for layer in layers:
            made.apply(layer)
        return made

    def apply(self, layer: OpenLayer) -> None:
        """One more on top."""
        number, place = len(self.layers), 0
        self.layers.append(layer)
        reader = TarReader(layer())
        while (entry := reader.next_entry()) is not None:
            self._apply(entry, number, place)
            place += 1

    def apply_entries(self, entries: Sequence[TarEntry], layer: OpenLayer) -> None:
        """One more on top, whose members are known: `layer` has these, in this order."""
        number = len(self.layers)
        self.layers.append(layer)
        for place, entry in enumerate(entries):
            self._apply(entry, number, place)

    def find(self, path: str) -> Node | None:
        node: Node | None = self.root
        for part in path.split("/") if path else ():
            name = node.names.get(part) if node is not None and node.names is not None else None
            node = None if name is None else name.node
        return node

    def walk(self) -> Iterator[tuple[str, Node]]:
        """Every path but the root's, sorted within its directory, directories before what is in them."""
        pending = [("", self.root)]
        while pending:
            path, node = pending.pop()
            if path:
                yield path, node
            below = sorted((node.names or {}).items(), reverse=True)
            pending += [(f"{path}/{base}" if path else base, name.node) for base, name in below]

    def export(self, write: Write) -> None:
        """All of it as one tar: directories first, then what the layers have, in their order."""
        writer = TarWriter(write)
        paths: dict[int, list[str]] = {}
        members: dict[tuple[int, int], Node] = {}
        for path, node in self.walk():
            if node.is_directory:
                writer.add(_named(node.entry, f"{path}/"))
            else:
                paths.setdefault(id(node), []).append(path)
                members[node.layer, node.place] = node
        for number, layer in enumerate(self.layers):
            reader, place = TarReader(layer()), 0
            while reader.next_entry() is not None:
                node_here = members.get((number, place))
                place += 1
                if node_here is not None:
                    first, *others = paths[id(node_here)]
                    writer.add(_named(node_here.entry, first), iter(reader.read, b""))
                    for other in others:
                        writer.add(_link(node_here.entry, other, first))
        writer.end()

    # --- one member ---------------------------------------------------------------------------------------------

    def _apply(self, entry: TarEntry, layer: int, place: int) -> None:
        path = check_layer_name(entry.name)
        folder, _, base = path.rpartition("/")
        if not path:
            if entry.kind is Kind.DIRECTORY:
                self.root.entry = entry
            return
        if base == OPAQUE:
            hidden = self.find(folder)
            if hidden is not None and hidden.names is not None:
                _hide_below(hidden.names, layer)
        elif base.startswith(_AUFS):
            pass  # AUFS' own notes
        elif base.startswith(_WHITEOUT):
            parent = self.find(folder)
            if parent is not None and parent.names is not None:
                _hide(parent.names, base.removeprefix(_WHITEOUT), layer)
        else:
            self._put(self._directory(folder, layer), base, entry, layer, place)

    def _put(self, names: dict[str, Name], base: str, entry: TarEntry, layer: int, place: int) -> None:
        before = names.get(base)
        if entry.kind is Kind.HARD_LINK:
            target = self.find(safe_path(entry.link_name))
            if target is None or target.is_directory:
                raise ContentError(
                    f"layer has the hard link {entry.name[:200]!r} to {entry.link_name[:200]!r}, which is no file"
                )
            node = target  # engines give the file what the link's header says of it
            told = {key: getattr(entry, key) for key in ("mode", "uid", "gid", "mtime_ns")}
            node.entry = replace(node.entry, **told, pax={**node.entry.pax, **entry.pax})
        elif entry.kind is Kind.DIRECTORY and before is not None and before.node.is_directory:
            node = before.node
            node.entry, node.layer, node.place = entry, layer, place
        else:
            node = Node(entry, layer, place, {} if entry.kind is Kind.DIRECTORY else None)
        if before is None:
            self.count += 1
            if self.count > MAX_ENTRIES:
                raise ContentError(f"root file system has more than {MAX_ENTRIES} files")
        names[base] = Name(node, layer)

    def _directory(self, path: str, layer: int) -> dict[str, Name]:
        """What is in this directory; made where it is missing."""
        names = self.root.names
        for part in path.split("/") if path else ():
            assert names is not None
            name = names.get(part)
            if name is None or not name.node.is_directory:
                if name is not None and name.layer == layer:
                    raise ContentError(f"layer has members below {path[:200]!r}, which it made no directory")
                name = names[part] = Name(_implied_directory(), layer)
            names = name.node.names
        assert names is not None
        return names


def _hide_below(names: dict[str, Name], layer: int) -> None:
    for base in list(names):
        _hide(names, base, layer)


def _hide(names: dict[str, Name], base: str, layer: int) -> None:
    """What lower layers have of this name; of a directory that the layer itself wrote into, what they have in it."""
    name = names.get(base)
    if name is None:
        return
    if name.node.names:
        _hide_below(name.node.names, layer)
    if name.layer != layer and not name.node.names:
        del names[base]


def _named(entry: TarEntry, name: str) -> TarEntry:
    hidden = tuple(XATTR_PREFIX + prefix for prefix in _HIDDEN_XATTRS)
    pax = {key: value for key, value in entry.pax.items() if not key.startswith(hidden)}
    return replace(entry, name=name, user="", group="", pax=pax)


def _link(entry: TarEntry, name: str, target: str) -> TarEntry:
    return replace(_named(entry, name), kind=Kind.HARD_LINK, size=0, link_name=target, pax={})
