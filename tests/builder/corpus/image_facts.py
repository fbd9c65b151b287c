"""`image_facts`: what an image is, read from the archive that `docker save` writes, by Python's own tarfile.

Flat, so that two images are compared entry by entry: `file /etc/passwd` -> `0644 0:0 'root:x:0...'`, `config User` ->
`"nobody"`. Times are left out. Layers are laid over each other here: nobody's unpacking takes part.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CONFIG_KEYS = (
    *("Env", "Cmd", "Entrypoint", "Labels", "User", "WorkingDir"),
    *("Volumes", "ExposedPorts", "Healthcheck", "Shell", "StopSignal", "OnBuild"),
)
_XATTR = "SCHILY.xattr."
_SHOWN_BYTES = 200
_MOST_KNOWN = 20
Facts = Mapping[str, str]


@dataclass(slots=True, eq=False)
class _Inode:
    text: str
    is_directory: bool


_known_layers: dict[tuple[str, int], Sequence[tuple[str, _Inode]]] = {}


def image_facts(archive: Path) -> dict[str, str]:
    with tarfile.open(archive) as tar:
        manifest = json.load(_member(tar, "manifest.json"))[0]
        config = json.load(_member(tar, manifest["Config"]))
        tree: dict[str, _Inode] = {}
        for layer in manifest["Layers"] or ():
            _lay_over(tree, _layer(tar, layer))
    facts = {f"config {key}": value for key, value in _config_facts(config.get("config") or {}).items()}
    return facts | _file_facts(tree)


def _member(tar: tarfile.TarFile, name: str) -> io.BytesIO:
    file = tar.extractfile(name)
    assert file is not None
    return io.BytesIO(file.read())


def _config_facts(config: Mapping[str, Any]) -> dict[str, str]:
    """What is null, empty or not there is all the same."""
    found = {}
    for key in _CONFIG_KEYS:
        value = config.get(key)
        if key == "Healthcheck" and value:
            value = {name: one for name, one in value.items() if one}
        if value:
            found[key] = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return found


def _file_facts(tree: Mapping[str, _Inode]) -> dict[str, str]:
    paths: dict[int, list[str]] = {}
    for path, inode in tree.items():
        paths.setdefault(id(inode), []).append(path)
    facts = {}
    for path, inode in tree.items():
        names = sorted(paths[id(inode)])
        facts[f"file /{path}"] = inode.text + (f" is {' and '.join(names)}" if len(names) > 1 else "")
    return facts


def _layer(archive: tarfile.TarFile, name: str) -> Sequence[tuple[str, _Inode]]:
    """Paths in their order; those that are hard links have one inode. That of the base is read once."""
    key = (name, archive.getmember(name).size)
    if key not in _known_layers:
        with tarfile.open(fileobj=_member(archive, name)) as files:
            found = _read_layer(files)
        if len(_known_layers) >= _MOST_KNOWN:
            return found
        _known_layers[key] = found
    return _known_layers[key]


def _read_layer(layer: tarfile.TarFile) -> Sequence[tuple[str, _Inode]]:
    inodes: dict[str, _Inode] = {}
    found = []
    for entry in layer:
        path = _clean(entry.name)
        inode = inodes[_clean(entry.linkname)] if entry.islnk() else _inode(layer, entry)
        inodes[path] = inode
        found.append((path, inode))
    return found


def _clean(name: str) -> str:
    return name.removeprefix("./").strip("/")


def _lay_over(tree: dict[str, _Inode], layer: Sequence[tuple[str, _Inode]]) -> None:
    """One layer over those below: whiteouts first, as they mean what is below."""
    for path, _ in layer:
        folder, _, name = path.rpartition("/")
        if name == ".wh..wh..opq":
            _remove(tree, folder, itself=False)
        elif name.startswith(".wh."):
            _remove(tree, f"{folder}/{name[4:]}".strip("/"))
    for path, inode in layer:
        if path in ("", ".") or path.rpartition("/")[2].startswith(".wh."):
            continue
        if not (inode.is_directory and path in tree and tree[path].is_directory):
            _remove(tree, path)
        _imply_parents(tree, path)
        tree[path] = inode


def _remove(tree: dict[str, _Inode], path: str, *, itself: bool = True) -> None:
    for below in [one for one in tree if one.startswith(f"{path}/")]:
        del tree[below]
    if itself:
        tree.pop(path, None)


def _imply_parents(tree: dict[str, _Inode], path: str) -> None:
    folder = path.rpartition("/")[0]
    if folder and folder not in tree:
        _imply_parents(tree, folder)
        tree[folder] = _Inode("dir that no layer has", True)


def _inode(layer: tarfile.TarFile, entry: tarfile.TarInfo) -> _Inode:
    text = f"{entry.mode & 0o7777:04o} {entry.uid}:{entry.gid}"
    if entry.isdir():
        text = f"dir {text}"
    elif entry.issym():
        text = f"link {entry.uid}:{entry.gid} -> {entry.linkname}"
    elif entry.isfifo():
        text = f"fifo {text}"
    elif entry.isdev():
        kind = "character" if entry.ischr() else "block"
        text = f"{kind} {text} {entry.devmajor},{entry.devminor}"
    else:
        text = f"{text} {_content(layer, entry)}"
    xattrs = [
        f"{key.removeprefix(_XATTR)}={value!r}"
        for key, value in sorted(entry.pax_headers.items())
        if key.startswith(_XATTR)
    ]
    return _Inode(" ".join((text, *xattrs)), entry.isdir())


def _content(layer: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    file = layer.extractfile(entry)
    assert file is not None, entry.name
    data = file.read()
    if len(data) <= _SHOWN_BYTES:
        return repr(data.decode("utf-8", "surrogateescape"))
    return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()[:16]}"
