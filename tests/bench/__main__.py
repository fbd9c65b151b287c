"""What `make bench` runs: the data plane, then the shaped cluster; with --full the whole matrix, and before it what a
tracker bears, real beside simulated rollouts, and the faults.

    python -m tests.bench [--full] [--json FILE [--resume]]

The JSON file has the cluster's rows; those of the other parts go beside it (FILE with -data-plane, -tracker,
-agreement, -faults before its suffix), each as soon as it is measured. --resume goes on where a run was broken off; the
data plane and the tracker, minutes both, are measured again. Each part is a process of its own, so that none finds what
another left in memory; one that fails does not keep the others.
Exit codes: 0, 1 something failed, 2 mistaken flags, 130 Ctrl-C.
"""

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.commands.exit_codes import INTERRUPTED

_BROKEN_OFF = (INTERRUPTED, -signal.SIGINT, -signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Part:
    """suffix: of its file's name. resumes: it knows --resume."""

    module: str
    suffix: str
    arguments: tuple[str, ...] = ()
    resumes: bool = True

    def command(self, file: Path | None, resume: bool) -> list[str]:
        command = [sys.executable, "-m", f"tests.bench.{self.module}", *self.arguments]
        if file is not None:
            command += ["--json", str(file.with_stem(file.stem + self.suffix))]
        return [*command, "--resume"] if resume and self.resumes else command


QUICK = (
    Part("data_plane", "-data-plane", ("--mib", "512", "--times", "3"), resumes=False),
    Part("cluster", ""),
)
FULL = (
    Part("data_plane", "-data-plane", resumes=False),
    Part("tracker_load", "-tracker", resumes=False),
    Part("agreement", "-agreement"),
    Part("faults", "-faults"),
    Part("cluster", "", ("--full",)),
)


def run_parts(parts: Sequence[Part], file: Path | None, resume: bool) -> int:
    failed: list[str] = []
    for number, part in enumerate(parts):
        name = part.module.replace("_", " ")
        print(f"\n[part {number + 1} of {len(parts)}] {name}", flush=True)
        status = _run(part.command(file, resume))
        if status in _BROKEN_OFF:
            return INTERRUPTED
        if status:
            failed.append(name)
    if failed:
        print(f"\nnot as it should be: {', '.join(failed)}", flush=True)
    return int(bool(failed))


def _run(command: Sequence[str]) -> int:
    """Ctrl-C reaches the part by itself, and it clears up; SIGTERM is passed on."""
    with subprocess.Popen(command) as process:
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        return process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--resume", action="store_true", help="go on with what is not in the JSON files yet")
    given = parser.parse_args()
    if given.resume and given.json is None:
        parser.error("--resume needs --json FILE, which has what was measured before")
    return run_parts(FULL if given.full else QUICK, given.json, given.resume)


if __name__ == "__main__":
    sys.exit(main())
