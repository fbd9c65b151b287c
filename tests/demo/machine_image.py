"""`make_machine_image`: an image out of real files: this machine's own Python, in several layers.

Reproducible: the same files make the same digests, whoever owns them and whenever they were written.
"""

import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from tests.fakes.images import Image, Layer, disk_layer, make_image

# Like images in the wild: most of the bytes in one layer, and some small ones.
_SHARES = (0.40, 0.24, 0.16, 0.11, 0.06, 0.03)
_LONGEST_PATH_BYTES = 100
_BLOCK_BYTES = 512


def make_machine_image(size_bytes: int) -> Image:
    """Some `size_bytes` large; smaller where this machine has no more files. Reads everything once."""
    return make_image(list(_layers(size_bytes)), command=["/python/bin/python"])


def _layers(size_bytes: int) -> Iterator[Layer]:
    files = _files()
    for share in _SHARES:
        chosen = dict(_up_to(int(size_bytes * share), files))
        if chosen:
            yield disk_layer(chosen)


def _up_to(limit_bytes: int, files: Iterator[tuple[str, Path]]) -> Iterator[tuple[str, Path]]:
    """The next files whose entries in a tar are about `limit_bytes`. Those larger than a layer are left out."""
    total = 0
    for name, path in files:
        entry_bytes = _BLOCK_BYTES + path.stat().st_size
        entry_bytes += -entry_bytes % _BLOCK_BYTES
        if entry_bytes > limit_bytes:
            continue
        yield name, path
        total += entry_bytes
        if total + entry_bytes / 2 > limit_bytes:
            return


def _files() -> Iterator[tuple[str, Path]]:
    """By their path in the image: the standard library, then what is installed beside this program."""
    places = {
        "python/lib": Path(sysconfig.get_path("stdlib")),
        "python/site": Path(sysconfig.get_path("purelib")),
    }
    if sys.prefix == sys.base_prefix:
        del places["python/site"]  # it is inside of the other
    for prefix, root in places.items():
        for path in _regular_files(root):
            name = f"{prefix}/{path.relative_to(root)}"
            if len(os.fsencode(name)) <= _LONGEST_PATH_BYTES:
                yield name, path


def _regular_files(root: Path) -> Iterator[Path]:
    """Sorted. Without __pycache__, which changes while Python runs."""
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = sorted(set(subdirectories) - {"__pycache__"})
        for name in sorted(names):
            path = Path(directory, name)
            if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK):
                yield path
