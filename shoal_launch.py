#!python
"""The script `shoal`, where every command begins: in the standby process where there is one, else here.

It imports next to nothing, so that a command which another process carries out costs Python's own start and no more.
"""

import os
import sys


def main() -> None:
    from agent.standby.client import run_in_standby

    try:
        status = run_in_standby(sys.argv[1:])
    except KeyboardInterrupt:
        status = 130
    if status is not None:
        os._exit(status)  # nothing was opened, nothing is buffered
    from shoal import run_command

    run_command(sys.argv[1:])


if __name__ == "__main__":
    main()
