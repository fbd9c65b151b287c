"""`Reservation`: a block of addresses, this process's alone on this machine, and the record of what is made with it.

A record is a file, locked for as long as its process lives: one without an owner tells what a killed process left,
which whoever comes next takes away. All builds of a machine share the directory, as they share links and addresses.
"""

import json
import os
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from agent.store.file_lock import try_lock
from builder.run.address_pool import Block, block_count
from builder.run.errors import RunError
from builder.run.firewall import Firewall
from builder.run.link import close_link

_MOST_CONTAINERS = 1024


@dataclass(frozen=True, slots=True)
class Reservation:
    block: Block
    path: Path
    lock: int

    def release(self) -> None:
        """What was made with the block is gone already."""
        self.path.unlink(missing_ok=True)
        os.close(self.lock)


def reserve(directory: Path, range_: IPv4Network, firewall: Firewall) -> Reservation:
    """The record names `firewall` before it is told anything. Raises RunError, OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(min(_MOST_CONTAINERS, block_count(range_))):
        path = directory / str(number)
        lock = try_lock(path, create=True)
        if lock is None and (lock := try_lock(path, create=False)) is not None:
            _undo(lock)
        if lock is not None:
            _write(lock, Block(range_, number), firewall)
            return Reservation(Block(range_, number), path, lock)
    raise RunError(
        f"{_MOST_CONTAINERS} containers of builds run on this machine: no network is left for another"
    )


def clean_up_reservations(directory: Path) -> None:
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        lock = try_lock(path, create=False)
        if lock is not None:
            _undo(lock)
            path.unlink(missing_ok=True)
            os.close(lock)


def _write(lock: int, block: Block, firewall: Firewall) -> None:
    record = {"range": str(block.range), "number": block.number, "firewall": firewall.program}
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps(record).encode(), 0)


def _undo(lock: int) -> None:
    try:
        record = json.loads(os.pread(lock, 4096, 0))
        block, firewall = Block(IPv4Network(record["range"]), record["number"]), Firewall(record["firewall"])
    except (ValueError, KeyError, TypeError):
        return  # cut short: nothing was made yet
    close_link(block)
    firewall.forbid(block)
