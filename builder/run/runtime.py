"""`Runtime`: the OCI runtime that runs containers, runc or crun, and how it is called.

runc comes first: BuildKit and Docker use it, and it knows hybrid cgroups, which crun refuses.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.run.errors import RunError
from builder.run.programs import find_program

VARIABLE = "SHOAL_BUILD_RUNTIME"
_KNOWN = ("runc", "crun")


@dataclass(frozen=True, slots=True)
class Runtime:
    """`path`: the program."""

    path: Path

    def command(self, state: Path, *words: str) -> list[str]:
        """state: where the runtime keeps what runs; a directory of one container, so that no two meet."""
        return [str(self.path), "--root", str(state), *words]


def find_runtime(
    environment: Mapping[str, str] | None = None, which: Callable[[str], str | None] = find_program
) -> Runtime:
    """Raises RunError, which says what to install. `environment` names one that is meant, by name or path."""
    environment = os.environ if environment is None else environment
    chosen = environment.get(VARIABLE)
    for name in (chosen,) if chosen else _KNOWN:
        if found := which(name):
            return Runtime(Path(found))
    if chosen:
        raise RunError(f"{VARIABLE} names the container runtime {chosen!r}, which is not there")
    raise RunError(
        "RUN needs a container runtime, and neither runc nor crun is installed; "
        "on Debian and Ubuntu: apt-get install runc"
    )


def unified_cgroups(cgroups: Path = Path("/sys/fs/cgroup")) -> bool:
    """Version 2 alone: neither version 1 nor the hybrid of both."""
    return (cgroups / "cgroup.controllers").exists()
