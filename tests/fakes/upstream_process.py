"""The fake registry as a process of its own, for the demo and for tests of several processes.

Prints one line of JSON when it listens ({"url", "cdn_url"} and the image that it made, if any) and, with --log,
appends one line of JSON a request when it is done. Ends on SIGTERM or SIGINT.
"""

import argparse
import dataclasses
import json
import random
import signal
from pathlib import Path
from typing import Any

import trio

from tests.fakes.upstream import FakeUpstream, Recorded, open_upstream
from tests.fakes.upstream_auth import STYLES

_MIB = 1024 * 1024


def main(arguments: list[str] | None = None) -> None:
    trio.run(_run, _parser().parse_args(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.upstream", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--directory", type=Path, help="keep blobs here, not in memory")
    parser.add_argument(
        "--image-mb", type=int, default=0, help="start with an image of this size, of random bytes"
    )
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--repository", default="library/app")
    parser.add_argument("--tag", default="latest")
    parser.add_argument("--auth", choices=STYLES, help="ask for credentials in this product's style")
    parser.add_argument(
        "--redirect-blobs", action="store_true", help="answer blobs with a redirect to the CDN"
    )
    parser.add_argument("--bytes-per-second", type=float, help="of all answers together")
    parser.add_argument("--log", type=Path)
    return parser


async def _run(options: argparse.Namespace) -> None:
    if options.directory is not None:
        options.directory.mkdir(parents=True, exist_ok=True)
    async with open_upstream(
        auth=STYLES[options.auth] if options.auth else None,
        redirects_blobs=options.redirect_blobs,
        directory=options.directory,
        host=options.host,
        port=options.port,
    ) as upstream:
        ready: dict[str, Any] = {"url": upstream.url, "cdn_url": upstream.cdn_url}
        if options.image_mb:
            ready["image"] = _add_image(upstream, options)
        upstream.bytes_per_second = options.bytes_per_second
        if options.log is not None:
            upstream.on_request = _Log(options.log)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            print(json.dumps(ready), flush=True)
            async for _ in signals:
                break


def _add_image(upstream: FakeUpstream, options: argparse.Namespace) -> dict[str, Any]:
    rng = random.Random(f"{options.image_mb} {options.layers}")
    layers = [rng.randbytes(options.image_mb * _MIB // options.layers) for _ in range(options.layers)]
    image = upstream.shelf.add_image(options.repository, options.tag, layers)
    return {"repository": image.repository, "tag": image.tag, "digest": str(image.digest), "size": image.size}


class _Log:
    """Called with each request that is done."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, record: Recorded) -> None:
        entry = dataclasses.asdict(record)
        entry["range"] = record.range
        del entry["headers"], entry["query"]
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
