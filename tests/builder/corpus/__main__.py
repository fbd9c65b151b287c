"""`python -m tests.builder.corpus [--only TEXT] [--engine NAME]... [--all]`: the table, and what differs."""

import argparse
import sys
import time

import trio

from tests.builder.corpus.case import ENGINES, Case, all_cases
from tests.builder.corpus.comparison import Outcome, allowed_differences, not_allowed, unused
from tests.builder.corpus.corpus import Results, run_corpus
from tests.clients.scratch import open_scratch


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.builder.corpus", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="cases that have it in their name")
    parser.add_argument(
        "--engine",
        action="append",
        choices=(*ENGINES, "buildkitd"),
        help="to compare with [all but buildkitd]",
    )
    parser.add_argument("--all", action="store_true", help="show the differences that are allowed, too")
    given = parser.parse_args()
    engines = given.engine or list(ENGINES)
    began = time.monotonic()
    spent: dict[str, float] = {}
    last = dict.fromkeys(("shoal", *engines), began)

    def on_outcome(case: Case, engine: str, outcome: Outcome) -> None:
        last[engine] = time.monotonic()

    with open_scratch() as scratch:
        results = trio.run(run_corpus, all_cases(given.only), engines, scratch, on_outcome)
    spent |= {engine: at - began for engine, at in last.items()}
    if not given.only:
        print(*unused(results.differences(), allowed_differences(), engines), sep="\n")
    return _tell(results, engines, spent, show_all=given.all)


def _tell(results: Results, engines: list[str], spent: dict[str, float], *, show_all: bool) -> int:
    found, allowed = results.differences(), allowed_differences()
    wrong = not_allowed(found, allowed)
    for one in found if show_all else wrong:
        print(one)
    print(f"\n{'':40} {'shoal':9}" + "".join(f"{engine:10}" for engine in engines))
    for case in results.cases:
        outcome = results.outcomes[case.name, "shoal"]
        cells = ["built" if outcome.facts is not None else "refused"]
        for engine in engines:
            marks = [one for one in found if (one.case, one.engine) == (case.name, engine)]
            if (case.name, engine) not in results.outcomes:
                cells.append("-")
            elif not marks:
                cells.append("same")
            else:
                cells.append("DIFFERS" if any(one in wrong for one in marks) else "allowed")
        print(f"{case.name:40} " + "".join(f"{cell:10}" for cell in cells))
    print(
        f"{len(results.cases)} cases; seconds: " + ", ".join(f"{name} {at:.0f}" for name, at in spent.items())
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
