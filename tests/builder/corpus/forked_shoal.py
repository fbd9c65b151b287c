"""`shoal` as a process of its own a command, without the start of an interpreter: forked from one that has imported it.

A line of standard input is a command: JSON of arguments, directory and the file for its output. The answer is a line
with its exit code.
"""

import json
import os
import sys
from typing import NoReturn

import builder.build  # noqa: F401 -- what the command would import
from builder.build_command import build  # noqa: F401
from shoal import main


def serve() -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _carry_out(**json.loads(line))
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _carry_out(arguments: list[str], directory: str, output: str) -> NoReturn:
    os.chdir(directory)
    fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    code = 1
    try:
        main(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
