"""`run_corpus`: every case through every engine, each engine at its own pace, all of them side by side."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import trio

from tests.builder.corpus.base_images import WORN, write_root
from tests.builder.corpus.case import Case
from tests.builder.corpus.comparison import Difference, Outcome, differences, own_mistakes
from tests.builder.corpus.engines import Engine, ShoalEngine, open_engines, open_shoal_engine
from tests.builder.corpus.newest_buildkit import open_newest_buildkit


@dataclass(slots=True)
class Results:
    """outcomes: by case and engine, "shoal" among them."""

    cases: Sequence[Case]
    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)

    def differences(self) -> list[Difference]:
        found: list[Difference] = []
        for case in self.cases:
            ours = self.outcomes[case.name, "shoal"]
            found += own_mistakes(case, ours)
            for (name, engine), theirs in self.outcomes.items():
                if name == case.name and engine != "shoal":
                    found += differences(case, engine, ours, theirs)
        return found


async def run_corpus(
    cases: Sequence[Case],
    engines: Sequence[str],
    scratch: Path,
    on_outcome: Callable[[Case, str, Outcome], None] = lambda *_: None,
) -> Results:
    results = Results(cases)
    contexts = scratch / "contexts"
    for case in cases:
        case.write(contexts / case.slug)
    async with AsyncExitStack() as stack:
        http = stack.enter_context(_served(contexts))
        shoal = await stack.enter_async_context(open_shoal_engine(scratch / "shoal"))
        chosen: dict[str, Engine] = await stack.enter_async_context(open_engines(engines, scratch))
        if "buildkitd" in engines:
            chosen["buildkitd"] = await stack.enter_async_context(open_newest_buildkit(scratch / "buildkitd"))
        for image in await _bases(shoal, scratch):
            for engine in chosen.values():
                await engine.load(image)
        chosen["shoal"] = shoal
        async with trio.open_nursery() as nursery:
            for name in ("shoal", *engines):
                work = partial(_run_engine, name, chosen[name], contexts, http, results, on_outcome)
                nursery.start_soon(work)
    return results


async def _run_engine(
    name: str,
    engine: Engine,
    contexts: Path,
    http: str,
    results: Results,
    on_outcome: Callable[[Case, str, Outcome], None],
) -> None:
    for case in results.cases:
        if name not in case.without:
            outcome = await engine.build(case, contexts / case.slug, case.arguments(http))
            results.outcomes[case.name, name] = outcome
            on_outcome(case, name, outcome)


async def _bases(shoal: ShoalEngine, scratch: Path) -> list[Path]:
    """`base` and `worn`, in Shoal's store and as archives."""
    root = write_root(scratch)
    archives = []
    for name, changes in (("base", ()), ("worn", WORN)):
        flags = [part for change in changes for part in ("-c", change)]
        await shoal.shoal(["import", *flags, str(root), f"{name}:latest"], scratch)
        archives.append(scratch / f"{name}.tar")
        await shoal.shoal(["save", "-q", "-o", str(archives[-1]), f"{name}:latest"], scratch)
    return archives


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name there
        pass


@contextmanager
def _served(directory: Path) -> Iterator[str]:
    """The URL of a server of these files."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(directory))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
