"""A standby process whose one command tells what it finds, for test_standby.py: `python -m ... SOCKET server`; and its
client: `python -m ... SOCKET ARGUMENTS`, which tells `here` where it has to run the command itself."""

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

import trio

from agent.standby.client import VARIABLE, run_in_standby
from agent.standby.keeper import listen
from agent.standby.server import serve_standby


def command(arguments: list[str]) -> None:
    match arguments:
        case ["exit", "text"]:
            sys.exit("said in the end")
        case ["exit", number]:
            sys.exit(int(number))
        case ["fail"]:
            raise ValueError("nobody catches it")
        case ["cat"]:
            sys.stdout.write(sys.stdin.read())
        case ["wait", mark]:
            wait(Path(mark))
        case ["hop"]:
            trio.run(trio.to_thread.run_sync, print, "in a thread")
        case ["kill"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case _:
            tell(arguments)


def tell(arguments: list[str]) -> None:
    umask = os.umask(0)
    told = {
        "arguments": arguments,
        "environment": {name: text for name, text in os.environ.items() if name.startswith("TOLD_")},
        "directory": str(Path.cwd()),
        "umask": umask,
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "nice": os.nice(0),
        "processors": sorted(os.sched_getaffinity(0)),
        "server": os.getppid(),
        "oom_score": int(Path("/proc/self/oom_score_adj").read_text()),
        "groups": sorted(os.getgroups()),
        "cgroups": Path("/proc/self/cgroup").read_text(),
        "terminal": sys.stdout.isatty(),
    }
    print(json.dumps(told))


def wait(mark: Path) -> None:
    """Until Ctrl-C, of which it tells in a file: whoever waited for the output may be gone."""
    mark.write_text(f"{os.getpid()}")
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        mark.write_text("interrupted")
        sys.exit(130)


def main() -> None:
    path, *arguments = sys.argv[1:]
    if arguments == ["server"]:
        serve_standby(
            listen(Path(path)),
            command,
            lambda: command(["hop"]),
            30,
            lambda: print("ready", flush=True),
        )
        return
    os.environ[VARIABLE] = path
    status = run_in_standby(arguments, float(os.environ.get("PATIENCE_SECONDS", "20")))
    if status is None:
        print("here")
        return
    sys.exit(status)


if __name__ == "__main__":
    main()
