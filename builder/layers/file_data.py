"""The data of a file: copied inside the kernel, shared between the two where the file system can (reflink)."""

import errno
import fcntl
import os

_FICLONE = 0x40049409  # linux/fs.h
_PIECE_BYTES = 1024 * 1024
_MOST_BYTES = 1 << 30
_UNSUPPORTED = frozenset(
    {
        errno.EXDEV,
        errno.EINVAL,
        errno.ENOSYS,
        errno.EOPNOTSUPP,
        errno.ENOTTY,
        errno.EPERM,
        errno.EBADF,
        errno.ETXTBSY,
    }
)


def copy_data(source_directory: int, source: str, directory: int, name: str) -> None:
    """Into a new file of mode 0600; links are not followed. Raises OSError: FileExistsError where there is one."""
    fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source_directory)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        new = os.open(name, flags, 0o600, dir_fd=directory)
        try:
            fill(fd, new)
        finally:
            os.close(new)
    finally:
        os.close(fd)


def fill(source: int, destination: int) -> None:
    """An empty file with the data of another, holes too. Raises OSError."""
    size = os.fstat(source).st_size
    if not size:
        return
    try:
        fcntl.ioctl(destination, _FICLONE, source)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        at = 0
        while at < size:
            try:
                start = os.lseek(source, at, os.SEEK_DATA)
                end = os.lseek(source, start, os.SEEK_HOLE)
            except OSError as no_more:
                if no_more.errno != errno.ENXIO:
                    raise
                break
            _copy_range(source, destination, start, end)
            at = end
        os.ftruncate(destination, max(size, at))


def _copy_range(source: int, destination: int, at: int, end: int) -> None:
    while at < end:
        try:
            count = os.copy_file_range(source, destination, min(end - at, _MOST_BYTES), at, at)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            count = os.pwrite(destination, os.pread(source, min(end - at, _PIECE_BYTES), at), at)
        if count == 0:  # it became shorter meanwhile
            return
        at += count
