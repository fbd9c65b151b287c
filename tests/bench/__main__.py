"""What `make bench` runs: the data plane, then the shaped cluster; with --full the whole matrix and the faults.

    python -m tests.bench [--full] [--json FILE]

The JSON file has the cluster's rows; the data plane's go beside it (FILE with -data-plane before its suffix), and the
faults' (-faults). Each part is a process of its own, so that none finds what another left in memory.
"""

import argparse
import subprocess
import sys
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    plane = [] if given.full else ["--mib", "512", "--times", "3"]
    parts = [
        ("data_plane", plane, "-data-plane"),
        ("cluster", ["--full"] if given.full else [], ""),
        *([("faults", [], "-faults")] if given.full else []),
    ]
    failed = 0
    for module, arguments, suffix in parts:
        print(f"\n{module.replace('_', ' ')}", flush=True)
        rows = [] if given.json is None else ["--json", given.json.with_stem(given.json.stem + suffix)]
        failed |= subprocess.call([sys.executable, "-m", f"tests.bench.{module}", *arguments, *rows])
    return failed


if __name__ == "__main__":
    sys.exit(main())
