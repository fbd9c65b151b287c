"""200 clients push and pull for a minute while their agent is killed with kill -9 every few seconds.

    python -m tests.bench.push_storm [--clients 200] [--seconds 60] [--life 3]

Ends with a line of figures, and with an error where anything that was acknowledged is not there, whole.
"""

import argparse
import warnings

import trio

from tests.clients.push_storm import Storm, rage
from tests.clients.scratch import open_scratch


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument(
        "--life", type=float, default=3.0, help="seconds between an agent's start and its end"
    )
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", ResourceWarning)  # of connections whose server died
    with open_scratch() as scratch:
        print(trio.run(rage, scratch, Storm(chosen.clients, chosen.seconds, chosen.life)))


if __name__ == "__main__":
    main()
