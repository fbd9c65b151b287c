"""overlayfs through mount(2): layers, one above the other, as one directory.

The page that mount(2) takes for its data holds hundreds of layers, since they are named relative to their common
parent: a thread that has a working directory of its own (unshare) mounts. Options, and why: redirect_dir and metacopy
off, so that the upper directory alone says what changed; index off, so that it can serve as a lower one elsewhere;
volatile where the kernel knows it (5.10): what is built is copied into the store, and fsyncs of package managers cost
minutes.
"""

import ctypes
import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.content.errors import DiskError

OPAQUE_XATTR = "trusted.overlay.opaque"
_TAKES_ROOT = "building mounts overlay file systems, which takes root (CAP_SYS_ADMIN): run it as root"
_OPTIONS = "redirect_dir=off,metacopy=off,index=off"
_MAX_DATA_BYTES = 4095
_CLONE_FS = 0x200
_MS_RDONLY, _MS_NOSUID, _MS_NODEV = 1, 2, 4
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8

_libc = ctypes.CDLL(None, use_errno=True)


def require_root() -> None:
    """Before anything is unpacked: what belongs to others cannot be, either. Raises DiskError."""
    if os.geteuid() != 0:
        raise DiskError(f"cannot build as user {os.geteuid()}: {_TAKES_ROOT}")


def mount_layers(
    parent: Path, lowers: Sequence[str], target: Path, writable: tuple[Path, Path] | None
) -> None:
    """lowers: the topmost first, relative to `parent`. writable: (upper, work directory), None for a read-only view.

    Raises DiskError.
    """
    data = f"lowerdir={':'.join(lowers)}"
    if writable is not None:
        upper, work = (os.path.relpath(path, parent) for path in writable)
        data += f",upperdir={upper},workdir={work}"
    if len(f"{data},{_OPTIONS},volatile") > _MAX_DATA_BYTES:
        raise DiskError(
            f"{len(lowers)} layers are more than one mount can take: build with fewer instructions"
        )
    try:
        if writable is None:
            _in_directory(parent, lambda: _mount(target, _MS_RDONLY | _MS_NODEV, f"{data},{_OPTIONS}"))
        else:
            _in_directory(parent, lambda: _mount_writable(target, f"{data},{_OPTIONS}"))
    except OSError as error:
        raise _explained(error, target) from error


def unmount(target: Path) -> None:
    """Nothing happens where nothing is mounted. Raises DiskError."""
    if _libc.umount2(os.fsencode(target), _UMOUNT_NOFOLLOW) == 0:
        return
    code = ctypes.get_errno()
    if code == errno.EBUSY and _libc.umount2(os.fsencode(target), _UMOUNT_NOFOLLOW | _MNT_DETACH) == 0:
        return
    if code not in (errno.EINVAL, errno.ENOENT):
        raise DiskError(f"cannot unmount {target}: {os.strerror(code)}")


def sync_file_system(directory: Path) -> None:
    """All that was written to the file system of `directory` is on its disk. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(fd)


def _mount_writable(target: Path, data: str) -> None:
    try:
        _mount(target, 0, f"{data},volatile")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _mount(target, 0, data)


def _mount(target: Path, flags: int, data: str) -> None:
    done = _libc.mount(b"overlay", os.fsencode(target), b"overlay", ctypes.c_ulong(flags), os.fsencode(data))
    if done != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _in_directory(directory: Path, action: Callable[[], None]) -> None:
    """In a thread of its own, whose working directory is not the process's. Raises what `action` raises."""
    failures: list[OSError] = []

    def run() -> None:
        try:
            if _libc.unshare(_CLONE_FS) != 0:
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code))
            os.chdir(directory)
            action()
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=run, name="mount")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def _explained(error: OSError, target: Path) -> DiskError:
    reason = error.strerror or str(error)
    match error.errno:
        case errno.EPERM | errno.EACCES:
            why = _TAKES_ROOT
        case errno.ENODEV:
            why = "this kernel has no overlay file system: load it (modprobe overlay)"
        case errno.EINVAL:
            why = (
                f"the file system of {target} cannot hold overlay's layers (another overlay, NFS): "
                "put the data directory on ext4 or xfs"
            )
        case _:
            why = "see the kernel's log (dmesg)"
    return DiskError(f"cannot mount {target}: {reason}; {why}")
