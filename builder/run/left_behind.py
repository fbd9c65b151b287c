"""What a container's work directory says of it, so that a later process can end it: `Record`, `clean_up`. Blocking.

The record is written before anything is made and removed last. Networks have records of their own (network.py).
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.store.file_lock import try_lock
from builder.run.bundle import Bundle
from builder.run.network import clean_up_networks
from builder.run.runtime import Runtime

BUNDLE = "bundle"
ALIVE = "alive"
_RECORD = "container.json"
_DELETE_SECONDS = 30.0
_DIE_SECONDS = 5.0
_DIE_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Record:
    container: str
    runtime: Runtime


def write_record(work: Path, record: Record) -> None:
    text = json.dumps({"container": record.container, "runtime": str(record.runtime.path)})
    (work / _RECORD).write_text(text)


def remove_record(work: Path) -> None:
    (work / _RECORD).unlink(missing_ok=True)


def delete_container(bundle: Bundle, record: Record) -> None:
    """Whatever of it still runs is killed. A runtime that ended in order has left nothing to do."""
    if (bundle.state / record.container).exists():
        subprocess.run(
            record.runtime.command(bundle.state, "delete", "--force", record.container),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_DELETE_SECONDS,
            check=False,
        )
    _remove_cgroups(record.container)


def clean_up(work_root: Path) -> None:
    """Ends what killed builds left: containers, mounts, networks, firewall rules. Their files stay.

    work_root: a directory for each build, in which the file `alive` is locked for as long as the build lives.
    """
    for build in sorted(work_root.iterdir()) if work_root.is_dir() else ():
        lock = try_lock(build / ALIVE, create=False)
        if lock is not None:
            try:
                for work in sorted(path.parent for path in build.rglob(_RECORD)):
                    _end(work)
            finally:
                os.close(lock)
    clean_up_networks()


def _end(work: Path) -> None:
    record = _read_record(work)
    bundle = Bundle(work / BUNDLE)
    if record is not None:
        for pid in _processes_of(record.container):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        delete_container(bundle, record)
    bundle.close()
    remove_record(work)


def _read_record(work: Path) -> Record | None:
    """None for one that was cut short: then nothing was made yet."""
    try:
        values = json.loads((work / _RECORD).read_bytes())
        return Record(str(values["container"]), Runtime(Path(values["runtime"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _processes_of(container: str) -> Iterator[int]:
    """Runtimes that are about to start it, perhaps before it has any state."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if container.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                    yield int(entry.name)


def _remove_cgroups(container: str) -> None:
    """A runtime that was killed leaves them, and perhaps a process that it had not written down yet."""
    cgroups = Path("/sys/fs/cgroup")
    places = [cgroups, *cgroups.iterdir()] if cgroups.is_dir() else []
    left = [path for place in places if (path := place / "shoal" / container).is_dir()]
    deadline = time.monotonic() + _DIE_SECONDS
    while left and time.monotonic() < deadline:
        for path in left:
            with contextlib.suppress(OSError):
                for pid in (path / "cgroup.procs").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
            with contextlib.suppress(OSError):
                path.rmdir()
        left = [path for path in left if path.is_dir()]
        if left:
            time.sleep(_DIE_POLL_SECONDS)
