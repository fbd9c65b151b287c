"""The push client against a registry that works, that asks for credentials, and that fails."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from trio.testing import MockClock

from agent.content.digest import Digest
from agent.content.errors import ContentError, NotFound, ShoalError, SourceError, Throttled, Unauthorized
from agent.content.media_types import OCI_MANIFEST
from agent.content.reference import Repository
from agent.origin.credentials import CredentialStore
from agent.origin.pusher import Pusher, open_pusher
from agent.origin.upload_body import PIECE_BYTES, BytesContent
from agent.origin.upload_sessions import PassingSessions
from agent.origin.upstream import Upstream
from tests.agent.origin.reading import app, options
from tests.fakes.upstream import FakeUpstream, Fault, open_upstream
from tests.fakes.upstream_auth import DOCKER_HUB, STYLES

BLOB = bytes(range(256)) * 4096
NAME = "team/app"


@asynccontextmanager
async def pushing(
    fake: FakeUpstream,
    *,
    login: tuple[str, str] | None = None,
    source: str | None = None,
    sessions: PassingSessions | None = None,
    **timeouts: float,
) -> AsyncIterator[Pusher]:
    auths = {}
    if login:
        auths[fake.host] = {"auth": base64.b64encode(":".join(login).encode()).decode()}
    store = CredentialStore(inline=json.dumps({"auths": auths}))
    sources = [app(fake, source)] if source else []
    upstream = Upstream(fake.host, fake.url)
    async with open_pusher(
        upstream, app(fake, NAME), store, sources=sources, options=options(**timeouts), sessions=sessions
    ) as pusher:
        yield pusher


async def push(pusher: Pusher, data: bytes = BLOB, source: Repository | None = None) -> tuple[str, list[int]]:
    sent: list[int] = []
    return await pusher.push_blob(BytesContent(data), source, sent.append), sent


def methods(fake: FakeUpstream) -> list[str]:
    return [record.method for record in fake.requests]


@pytest.mark.parametrize("data", [BLOB, b"x", b""])
async def test_a_blob_is_sent_once_and_not_again(data: bytes) -> None:
    async with open_upstream() as fake, pushing(fake) as pusher:
        outcome, sent = await push(pusher, data)
        assert outcome == "pushed"
        assert (sent[-1] if sent else 0) == len(data)
        assert fake.shelf.blobs == {str(Digest.of(data)): data}
        assert methods(fake) == ["HEAD", "POST", *(["PATCH"] if data else []), "PUT"]
        assert await push(pusher, data) == ("exists", [])
        assert len({record.client for record in fake.requests}) == 1, "one connection serves all"


async def test_a_blob_is_read_in_pieces() -> None:
    class Watched(BytesContent):
        async def read_at(self, position: int, limit_bytes: int) -> bytes:
            spans.append((position, limit_bytes))
            return await super().read_at(position, limit_bytes)

    spans: list[tuple[int, int]] = []
    async with open_upstream() as fake, pushing(fake) as pusher:
        await pusher.push_blob(Watched(BLOB), None, lambda _: None)
    assert spans == [(at, PIECE_BYTES) for at in range(0, len(BLOB), PIECE_BYTES)]


async def test_a_manifest_keeps_its_bytes_and_its_media_type() -> None:
    async with open_upstream() as fake, pushing(fake) as pusher:
        body = b'{"schemaVersion": 2}'
        await pusher.push_manifest("1.0", body, OCI_MANIFEST)
        found = fake.shelf.find_manifest(NAME, "1.0")
        assert found is not None
        assert (found[1].body, found[1].media_type) == (body, OCI_MANIFEST)


async def test_what_another_repository_of_the_registry_has_is_mounted() -> None:
    async with open_upstream(auth=STYLES["distribution-token"]) as fake:
        fake.shelf.add_blob(BLOB)
        fake.faults.add(Fault(status=404), match="/blobs/sha256", method="HEAD")
        async with pushing(fake, login=("user", "secret"), source="other/app") as pusher:
            assert await push(pusher, source=app(fake, "other/app")) == ("mounted", [])
        (post,) = fake.asked("uploads", method="POST")[-1:]
        assert post.query == f"mount={Digest.of(BLOB)}&from=other/app"
        assert not fake.asked(method="PATCH")
        scopes = set().union(*(issued.scopes for issued in fake.gate.issued.values()))
        assert {f"repository:{NAME}:push", "repository:other/app:pull"} <= scopes


@pytest.mark.parametrize("status", [202, 403, 404, 405])
async def test_a_blob_that_cannot_be_mounted_is_sent(status: int) -> None:
    async with open_upstream() as fake, pushing(fake, source="other/app") as pusher:
        if status != 202:
            fake.faults.add(Fault(status=status), match="uploads/", method="POST", times=1)
        assert (await push(pusher, source=app(fake, "other/app")))[0] == "pushed"
        assert len(fake.asked(method="POST")) == (1 if status == 202 else 2)


@pytest.mark.parametrize("style", STYLES)
async def test_every_kind_of_registry_is_pushed_to_with_credentials_and_a_scope_that_pushes(
    style: str,
) -> None:
    login = ("AWS" if style == "ecr" else "user", "secret")
    async with open_upstream(auth=STYLES[style]) as fake, pushing(fake, login=login) as pusher:
        await push(pusher)
        await pusher.push_manifest("latest", b"{}", OCI_MANIFEST)
        assert fake.shelf.tags[NAME]["latest"] == str(Digest.of(b"{}"))
        assert all(f"repository:{NAME}:push" in issued.scopes for issued in fake.gate.issued.values())
        assert len(fake.gate.issued) <= 1, "one token serves the whole push"


async def test_a_token_that_ends_in_the_middle_is_asked_for_again() -> None:
    async with open_upstream(auth=DOCKER_HUB) as fake, pushing(fake, login=("user", "secret")) as pusher:
        fake.on_request = lambda record: fake.gate.revoke_all() if record.method == "POST" else None
        assert (await push(pusher))[0] == "pushed"
        assert fake.shelf.blobs == {str(Digest.of(BLOB)): BLOB}


@pytest.mark.parametrize(
    ("fault", "method"),
    [
        (Fault(status=500), "HEAD"),
        (Fault(status=502), "POST"),
        (Fault(status=500), "PATCH"),
        (Fault(status=404), "PATCH"),
        (Fault(status=416), "PATCH"),
        (Fault(status=404), "PUT"),
        (Fault(status=400), "PUT"),
        (Fault(stall_before_answer=True), "POST"),
        (Fault(stall_before_answer=True), "PATCH"),
        (Fault(stall_before_answer=True), "PUT"),
    ],
)
async def test_a_blob_whose_upload_broke_is_sent_again_from_its_start(
    autojump_clock: MockClock, fault: Fault, method: str
) -> None:
    async with open_upstream() as fake, pushing(fake) as pusher:
        fake.faults.add(fault, method=method, times=2)
        outcome, sent = await push(pusher)
        assert (outcome, sent[-1]) == ("pushed", len(BLOB))
        assert fake.shelf.blobs == {str(Digest.of(BLOB)): BLOB}


@pytest.mark.parametrize(
    ("fault", "method", "kind"),
    [
        (Fault(status=500), "PATCH", SourceError),
        (Fault(status=400), "PUT", SourceError),
        (Fault(status=403), "POST", Unauthorized),
        (Fault(status=401), "POST", Unauthorized),
        (Fault(status=404), "POST", NotFound),
        (Fault(status=429, retry_after="7"), "PATCH", Throttled),
        (Fault(status=413), "PATCH", SourceError),
        (Fault(without_headers=("location",)), "POST", SourceError),
        (Fault(headers={"location": "ftp://elsewhere/"}), "POST", SourceError),
        (Fault(headers={"location": "http://169.254.169.254/"}), "POST", SourceError),
    ],
)
async def test_a_registry_that_keeps_failing_is_told_by_who_must_act(
    autojump_clock: MockClock, fault: Fault, method: str, kind: type[ShoalError]
) -> None:
    async with open_upstream() as fake, pushing(fake) as pusher:
        fake.faults.add(fault, method=method)
        with pytest.raises(kind) as raised:
            await push(pusher)
        assert fake.host in str(raised.value) or NAME in str(raised.value)
        assert len(fake.asked(method=method)) <= 4
        assert fake.shelf.blobs == {}


@pytest.mark.parametrize("login", [None, ("user", "wrong-password")])
async def test_missing_and_wrong_credentials_are_told_without_them(login: tuple[str, str] | None) -> None:
    for style in ("distribution-basic", "harbor"):
        async with open_upstream(auth=STYLES[style]) as fake, pushing(fake, login=login) as pusher:
            with pytest.raises(Unauthorized) as raised:
                await push(pusher)
            assert "wrong-password" not in str(raised.value)


@pytest.mark.parametrize("harm", ["altered", "shorter"])
async def test_a_blob_that_the_disk_altered_is_never_committed(harm: str) -> None:
    class Harmed(BytesContent):
        async def read_at(self, position: int, limit_bytes: int) -> bytes:
            piece = await super().read_at(position, limit_bytes)
            last = position + len(piece) == self.size
            return piece if not last else b"" if harm == "shorter" else b"x" * len(piece)

    async with open_upstream() as fake, pushing(fake) as pusher:
        with pytest.raises(ContentError, match="damaged on this disk"):
            await pusher.push_blob(Harmed(BLOB), None, lambda _: None)
        assert fake.shelf.blobs == {}
        assert not fake.asked(method="PUT")


async def test_an_upload_that_was_cut_goes_on_where_the_registry_says(autojump_clock: MockClock) -> None:
    async with open_upstream() as fake, pushing(fake) as pusher:
        fake.faults.add(Fault(cut_request_after_bytes=300_000), method="PATCH", times=1)
        fake.faults.add(Fault(cut_request_after_bytes=200_000), method="PATCH", times=1)
        outcome, sent = await push(pusher)
        assert (outcome, sent[-1]) == ("pushed", len(BLOB))
        assert fake.shelf.blobs == {str(Digest.of(BLOB)): BLOB}
        places = [record.headers.get("content-range") for record in fake.asked(method="PATCH")]
        assert places == [None, f"300000-{len(BLOB) - 1}", f"500000-{len(BLOB) - 1}"]
        assert len(fake.asked(method="POST")) == 1


async def test_an_upload_that_gets_on_is_not_given_up(autojump_clock: MockClock) -> None:
    async with open_upstream() as fake, pushing(fake) as pusher:
        fake.faults.add(Fault(cut_request_after_bytes=100_000), method="PATCH", times=10)
        assert (await push(pusher))[0] == "pushed"
        assert len(fake.asked(method="PATCH")) == 11


async def test_another_pusher_goes_on_with_what_the_last_began(autojump_clock: MockClock) -> None:
    sessions = PassingSessions()
    async with open_upstream() as fake:
        fake.faults.add(Fault(cut_request_after_bytes=300_000), method="PATCH", times=1)
        fake.faults.add(Fault(status=403), match="uploads", method="GET", times=1)
        async with pushing(fake, sessions=sessions) as pusher:
            with pytest.raises(Unauthorized):
                await push(pusher)
        async with pushing(fake, sessions=sessions) as pusher:
            assert (await push(pusher))[0] == "pushed"
        assert fake.asked(method="PATCH")[-1].headers["content-range"] == f"300000-{len(BLOB) - 1}"
        assert await sessions.find(pusher.repository, Digest.of(BLOB)) is None


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=404),
        Fault(status=400),
        Fault(headers={"range": "0-0"}),
        Fault(headers={"range": "what"}),
        Fault(headers={"range": f"0-{len(BLOB) + 5}"}),
        Fault(headers={"range": "0-99"}),
    ],
)
async def test_an_upload_that_cannot_go_on_is_sent_anew(autojump_clock: MockClock, fault: Fault) -> None:
    async with open_upstream() as fake, pushing(fake) as pusher:
        fake.faults.add(Fault(cut_request_after_bytes=300_000), method="PATCH", times=1)
        fake.faults.add(fault, match="uploads", method="GET", times=1)
        assert (await push(pusher))[0] == "pushed"
        assert fake.shelf.blobs == {str(Digest.of(BLOB)): BLOB}
        assert len(fake.asked(method="POST")) == 2


async def test_what_the_disk_altered_since_an_upload_was_cut_is_never_committed(
    autojump_clock: MockClock,
) -> None:
    class Altered(BytesContent):
        async def read_at(self, position: int, limit_bytes: int) -> bytes:
            piece = await super().read_at(position, limit_bytes)
            return bytes(len(piece)) if fake.asked(method="PATCH") and position == 0 else piece

    async with open_upstream() as fake, pushing(fake) as pusher:
        fake.faults.add(Fault(cut_request_after_bytes=300_000), method="PATCH", times=1)
        with pytest.raises(ContentError, match="damaged on this disk"):
            await pusher.push_blob(Altered(BLOB), None, lambda _: None)
        assert fake.shelf.blobs == {}


async def test_an_upload_that_goes_on_elsewhere_takes_no_credentials_along(
    autojump_clock: MockClock,
) -> None:
    async with (
        open_upstream(auth=STYLES["distribution-basic"]) as fake,
        open_upstream() as elsewhere,
        pushing(fake, login=("user", "secret")) as pusher,
    ):
        fake.faults.add(Fault(headers={"location": f"{elsewhere.url}/v2/x/blobs/uploads/y"}), method="POST")
        with pytest.raises(NotFound):
            await push(pusher)
        assert elsewhere.requests
        assert all(record.authorization is None for record in elsewhere.requests)
