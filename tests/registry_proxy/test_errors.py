"""Every failure has the status and code that its reader acts rightly on."""

import json

import pytest

from agent.content import errors
from agent.content.errors import (
    ContentError,
    DiskError,
    InputError,
    NotFound,
    PeerError,
    ShoalError,
    SourceError,
    Throttled,
    TrackerError,
    Unauthorized,
)
from registry_proxy.errors import ErrorCode, RequestRefused, failure_of
from registry_proxy.upstreams import UpstreamRules


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("x"), 404, ErrorCode.BLOB_UNKNOWN),
        (Unauthorized("x"), 403, ErrorCode.DENIED),
        (Throttled("x"), 503, ErrorCode.TOOMANYREQUESTS),
        (SourceError("x"), 502, ErrorCode.UNKNOWN),
        (ContentError("x"), 502, ErrorCode.UNKNOWN),
        (PeerError("x"), 503, ErrorCode.UNKNOWN),
        (TrackerError("x"), 503, ErrorCode.UNKNOWN),
        (DiskError("x"), 507, ErrorCode.UNKNOWN),
        (InputError("x"), 400, ErrorCode.UNSUPPORTED),
        (RequestRefused("x", ErrorCode.DIGEST_INVALID), 400, ErrorCode.DIGEST_INVALID),
        (ShoalError("x"), 502, ErrorCode.UNKNOWN),
    ],
)
def test_a_failure_has_its_status_and_code(error: ShoalError, status: int, code: ErrorCode) -> None:
    failure = failure_of(error, ErrorCode.BLOB_UNKNOWN)
    assert (failure.status, failure.code) == (status, code)
    assert json.loads(failure.body) == {"errors": [{"code": code.value, "message": "x", "detail": None}]}


def test_no_failure_is_ever_401_or_429() -> None:
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ShoalError)
    ]
    assert len(kinds) >= 10
    assert not {failure_of(kind("x"), ErrorCode.BLOB_UNKNOWN).status for kind in kinds} & {401, 429}


@pytest.mark.parametrize(
    ("told", "answered"),
    [(None, "5"), (0.2, "1"), (-3.0, "1"), (7.5, "8"), (1e9, "3600"), (float("nan"), "5")],
)
def test_throttling_says_how_long_to_wait(told: float | None, answered: str) -> None:
    failure = failure_of(Throttled("x", told), ErrorCode.BLOB_UNKNOWN)
    assert dict(failure.headers) == {"Retry-After": answered}


def test_a_long_text_is_cut() -> None:
    assert len(failure_of(SourceError("x" * 100_000), ErrorCode.BLOB_UNKNOWN).body) < 2000


def test_an_upstream_that_is_not_allowed_is_named_with_what_is_and_where_to_add_it() -> None:
    rules = UpstreamRules(frozenset({"docker.io", "quay.io"}), setting="upstreams")
    rules.check("quay.io")
    with pytest.raises(
        RequestRefused, match=r"ghcr\.io is not among .*docker\.io, quay\.io.*'upstreams'"
    ) as caught:
        rules.check("ghcr.io")
    assert (caught.value.status, caught.value.code) == (404, ErrorCode.NAME_UNKNOWN)
