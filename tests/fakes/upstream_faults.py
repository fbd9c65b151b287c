"""What can go wrong at the fake registry, per request: `upstream.faults.add(Fault(cut_after_bytes=1000), times=1)`."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fault:
    """One or several of these at once. Byte counts are of the response body."""

    status: int | None = None
    retry_after: str | None = None
    body: bytes | None = None
    cut_after_bytes: int | None = None
    stall_after_bytes: int | None = None
    stall_before_answer: bool = False
    bytes_per_second: float | None = None
    content_range: str | None = None
    ignore_range: bool = False
    range_limit_bytes: int | None = None
    """a 206 carries at most so much of the range that was asked for"""
    wrong_bytes: bool = False
    short_by_bytes: int = 0
    """an honest Content-Length of a body that is too short"""
    empty: bool = False
    endless: bool = False
    """no Content-Length, the body repeated without end"""
    chunked: bool = False
    """no Content-Length, chunked coding"""
    cut_request_after_bytes: int | None = None
    """of the body that a client uploads: so much is kept, then the connection ends"""
    redirect: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    without_headers: tuple[str, ...] = ()


@dataclass
class _Armed:
    fault: Fault
    match: str
    method: str | None
    times: int | None
    server: str


class Faults:
    """The first armed fault that matches a request is applied to it. No faults: everything works."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def add(
        self,
        fault: Fault,
        *,
        match: str = "",
        method: str | None = None,
        times: int | None = None,
        server: str = "",
    ) -> None:
        """For requests whose path contains `match`; `times`: only so many; `server`: only `registry` or `cdn`."""
        self._armed.append(_Armed(fault, match, method, times, server))

    def clear(self) -> None:
        self._armed.clear()

    def take(self, server: str, method: str, path: str) -> Fault:
        for armed in self._armed:
            fits = armed.match in path and armed.method in (None, method) and armed.server in ("", server)
            if fits and armed.times != 0:
                if armed.times is not None:
                    armed.times -= 1
                return armed.fault
        return Fault()
