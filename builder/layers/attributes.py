"""What an inode has besides its data: owner, mode, extended attributes, times; read from and put on descriptors.

The order matters: a change of owner takes setuid bits and capabilities away, a change of data the time.
"""

import errno
import os
import stat
from collections.abc import Mapping

CAPABILITY = "security.capability"
_HIDDEN_PREFIX = "user.overlay."
_NO_SUCH = frozenset({errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOENT})


def is_carried(xattr: str) -> bool:
    """Those that layers carry: capabilities and users' own; never overlay's (trusted.overlay., user.overlay.)."""
    return xattr == CAPABILITY or (xattr.startswith("user.") and not xattr.startswith(_HIDDEN_PREFIX))


def read_xattrs(target: int | str) -> dict[str, bytes]:
    """The carried ones, sorted; of a path that is a symbolic link, its own. Without any, none. Raises OSError."""
    follow = not isinstance(target, str)
    try:
        names = os.listxattr(target, follow_symlinks=follow)
    except OSError as error:
        if error.errno in _NO_SUCH:
            return {}
        raise
    if not names:
        return {}
    return {one: os.getxattr(target, one, follow_symlinks=follow) for one in sorted(names) if is_carried(one)}


def write_xattrs(target: int | str, xattrs: Mapping[str, bytes]) -> None:
    """The carried ones. A file system that cannot keep them is no failure. Raises OSError."""
    for name, value in xattrs.items():
        if is_carried(name):
            try:
                os.setxattr(target, name, value, follow_symlinks=not isinstance(target, str))
            except OSError as error:
                # user.* is refused on symbolic links and devices, capabilities in a user namespace of somebody else
                if error.errno not in (*_NO_SUCH, errno.EPERM):
                    raise


def entry_path(directory: int, name: str) -> str:
    """For the calls that know no dir_fd: the kernel follows the descriptor, and the caller forbids the last link."""
    return f"/proc/self/fd/{directory}/{name}"


def copy_directory_attributes(source: int, destination: int) -> None:
    """Between two open directories: owner, mode, xattrs; times are the caller's. Raises OSError."""
    status = os.fstat(source)
    os.fchown(destination, status.st_uid, status.st_gid)
    os.fchmod(destination, stat.S_IMODE(status.st_mode))
    write_xattrs(destination, read_xattrs(source))


def is_whiteout(status: os.stat_result) -> bool:
    """overlay's mark of what is gone: a character device 0/0."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(directory: int) -> bool:
    """overlay's mark of a directory that hides all that lower layers have in it. Raises OSError."""
    try:
        return os.getxattr(directory, "trusted.overlay.opaque") == b"y"
    except OSError as error:
        if error.errno in _NO_SUCH:
            return False
        raise
