"""The images that the cases begin FROM: busybox, and one with everything in its config that a base can have."""

import io
import tarfile
from pathlib import Path

_APPLETS = (
    "cat chmod chown cp echo env grep head id ip ln ls mkdir mkfifo mknod mv printf pwd rm rmdir seq sh sort stat test "
    "touch tr true truncate"
)
PASSWD = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1001::/home/user:/bin/sh\nnumber:x:7:8::/:/bin/sh\n"
GROUP = "root:x:0:\nusers:x:1001:user\nstaff:x:50:user\n"
# What `worn` has: by `shoal import --change`.
WORN = (
    "ENV WORN=yes PATH=/worn:/bin",
    'CMD ["worn-command"]',
    'ENTRYPOINT ["/worn"]',
    "LABEL worn=label shared=base",
    "WORKDIR /worn/place",
    "USER user",
    "VOLUME /worn/volume",
    "EXPOSE 99",
    "STOPSIGNAL SIGUSR1",
    "ONBUILD RUN echo $WORN > /tmp/triggered",
    "ONBUILD LABEL triggered=1",
)


def busybox_root() -> bytes:
    """A tar."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        _directory(tar, "bin")
        tar.add("/bin/busybox", "bin/busybox", filter=_as_root)
        for name in _APPLETS.split():
            _link(tar, f"bin/{name}", "busybox")
        for name in (
            "dev",
            "etc",
            "home",
            "home/user",
            "old",
            "old/deep",
            "proc",
            "root",
            "sys",
            "usr",
            "worn",
        ):
            _directory(tar, name)
        _directory(tar, "tmp", 0o1777)
        _file(tar, "etc/passwd", PASSWD)
        _file(tar, "etc/group", GROUP)
        _file(tar, "old/file", "old\n")
        _file(tar, "old/deep/file", "deep\n", 0o640, (1000, 1001))
        _file(tar, "old/setuid", "s\n", 0o4755)
        twin = tarfile.TarInfo("old/twin")
        twin.type, twin.linkname = tarfile.LNKTYPE, "old/file"
        tar.addfile(twin)
        for name, target in (
            ("old/link", "deep"),
            ("usr/escape", "../../../../old"),
            ("old/nowhere", "/new"),
        ):
            _link(tar, name, target)
    return file.getvalue()


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
    tar.addfile(entry)


def _directory(tar: tarfile.TarFile, name: str, mode: int = 0o755) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    tar.addfile(entry)


def _file(
    tar: tarfile.TarFile, name: str, text: str, mode: int = 0o644, owner: tuple[int, int] = (0, 0)
) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text.encode()), mode
    entry.uid, entry.gid = owner
    tar.addfile(entry, io.BytesIO(text.encode()))


def write_root(directory: Path) -> Path:
    path = directory / "root.tar"
    path.write_bytes(busybox_root())
    return path
