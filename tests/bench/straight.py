"""The same nodes without Shoal: skopeo on every host copies the image into a layout, straight from the registry, or
from a docker-registry that is a pull-through cache of it."""

import time
from collections.abc import Sequence
from pathlib import Path

import trio

from tests.cluster.namespaces import Host

_DEADLINE_SECONDS = 3600


async def pull_by_skopeo(
    hosts: Sequence[Host], waves: Sequence[range], reference: str, layouts: Path
) -> float:
    """Seconds until the last host has all of `reference`. What a layout holds already is not fetched again."""
    layouts.mkdir(exist_ok=True)
    started = time.perf_counter()
    for wave in waves:
        async with trio.open_nursery() as nursery:
            for number in wave:
                nursery.start_soon(_copy, hosts[number], reference, layouts / str(number))
    return time.perf_counter() - started


async def _copy(host: Host, reference: str, layout: Path) -> None:
    await host.run(
        "skopeo",
        "--insecure-policy",
        "copy",
        "--quiet",
        "--preserve-digests",
        "--src-no-creds",
        "--src-tls-verify=false",
        f"docker://{reference}",
        f"oci:{layout}:{reference.rpartition(':')[2]}",
        deadline_seconds=_DEADLINE_SECONDS,
    )
