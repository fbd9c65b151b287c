"""Manifests over a real socket: the headers that engines act on, tags, digests, staleness, refusals."""

import json
from collections.abc import AsyncIterator

import pytest

from agent.content.document import Descriptor
from agent.content.errors import SourceError, Throttled, Unauthorized
from agent.content.media_types import DOCKER_LIST
from agent.content.reference import Repository
from registry_proxy.app import registry_handler
from registry_proxy.upstreams import UpstreamRules
from tests.fakes.http_peer import HttpPeer, Received, serving
from tests.fakes.images_service import FakeImages

ALPINE = Repository("docker.io", "library/alpine")
BODY = b'{"schemaVersion": 2,   "manifests": []}'
TAG = "/v2/library/alpine/manifests/3.20?ns=docker.io"


class CountedRequests:
    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int]] = []

    def on_request(self, kind: str, status: int, seconds: float, bytes_sent: int) -> None:
        assert seconds >= 0
        self.seen.append((kind, status, bytes_sent))


@pytest.fixture
def metrics() -> CountedRequests:
    return CountedRequests()


@pytest.fixture
def images() -> FakeImages:
    return FakeImages()


@pytest.fixture
def descriptor(images: FakeImages) -> Descriptor:
    found = images.put_document(BODY, DOCKER_LIST)
    images.put_tag(ALPINE, "3.20", found)
    return found


@pytest.fixture
async def client(images: FakeImages, metrics: CountedRequests) -> AsyncIterator[HttpPeer]:
    rules = UpstreamRules(frozenset({"docker.io", "quay.io"}))
    async with serving(registry_handler(images, rules, metrics)) as running:
        yield await running.connect()


def code_of(answer: Received) -> str:
    assert answer.header("content-type") == "application/json"
    [error] = json.loads(answer.body)["errors"]
    return str(error["code"])


async def test_the_root_says_that_this_is_a_registry_and_challenges_nobody(client: HttpPeer) -> None:
    for method in ("GET", "HEAD"):
        answer = await client.get("/v2/", method=method)
        assert answer.status == 200
        assert answer.header("docker-distribution-api-version") == "registry/2.0"
        assert answer.header("www-authenticate") is None


@pytest.mark.parametrize("by_digest", [False, True])
async def test_a_manifest_comes_byte_for_byte_with_all_that_engines_look_at(
    client: HttpPeer, descriptor: Descriptor, by_digest: bool
) -> None:
    target = f"/v2/library/alpine/manifests/{descriptor.digest}" if by_digest else TAG
    answer = await client.get(target)
    head = await client.get(target, method="HEAD")
    assert (answer.status, answer.body) == (200, BODY)
    assert (head.status, head.body) == (200, b"")
    for received in (answer, head):
        assert received.header("content-type") == DOCKER_LIST
        assert received.header("content-length") == str(len(BODY))
        assert received.header("docker-content-digest") == str(descriptor.digest)
        assert received.header("etag") == f'"{descriptor.digest}"'
        assert received.header("docker-distribution-api-version") == "registry/2.0"
        assert received.header("warning") is None


async def test_a_head_of_a_tag_fetches_no_document(
    client: HttpPeer, images: FakeImages, descriptor: Descriptor
) -> None:
    await client.get(TAG, method="HEAD")
    assert images.documents_asked == 0


async def test_accept_in_several_lines_and_any_order_changes_nothing(
    client: HttpPeer, descriptor: Descriptor
) -> None:
    accepts = [
        "Accept: */*",
        "accept: application/vnd.oci.image.index.v1+json, text/html;q=0.1",
        f"ACCEPT: {DOCKER_LIST}",
    ]
    for fields in (accepts, accepts[::-1], ["Accept: application/json"], ["Accept:"]):
        assert (await client.get(TAG, *fields)).body == BODY


@pytest.mark.parametrize("condition", ['"{}"', 'W/"{}"', '"x", "{}"', "*"])
async def test_a_manifest_that_the_client_has_is_304(
    client: HttpPeer, images: FakeImages, descriptor: Descriptor, condition: str
) -> None:
    answer = await client.get(TAG, "If-None-Match: " + condition.format(descriptor.digest))
    assert (answer.status, answer.body) == (304, b"")
    assert answer.header("docker-content-digest") == str(descriptor.digest)
    assert images.documents_asked == 0
    assert (await client.get(TAG, 'If-None-Match: "other"')).status == 200


async def test_a_stale_answer_says_so(client: HttpPeer, images: FakeImages, descriptor: Descriptor) -> None:
    images.put_tag(ALPINE, "3.20", descriptor, stale=True)
    for method in ("GET", "HEAD"):
        assert (await client.get(TAG, method=method)).header("warning") == '110 - "Response is Stale"'


async def test_an_unknown_tag_or_digest_is_manifest_unknown(client: HttpPeer) -> None:
    for reference in ("no-such", f"sha256:{'0' * 64}", ".INVALID_MANIFEST_NAME"):
        answer = await client.get(f"/v2/library/alpine/manifests/{reference}")
        assert (answer.status, code_of(answer)) == (404, "MANIFEST_UNKNOWN")


async def test_a_malformed_digest_is_400(client: HttpPeer) -> None:
    answer = await client.get("/v2/library/alpine/manifests/sha256:xyz")
    assert (answer.status, code_of(answer)) == (400, "DIGEST_INVALID")


async def test_a_registry_that_is_not_allowed_is_404_and_says_what_is(client: HttpPeer) -> None:
    for target in ("/v2/x/manifests/latest?ns=evil.example", "/v2/evil.example/x/manifests/latest"):
        answer = await client.get(target)
        assert (answer.status, code_of(answer)) == (404, "NAME_UNKNOWN")
        assert b"evil.example" in answer.body
        assert b"docker.io, quay.io" in answer.body


@pytest.mark.parametrize(
    "namespace", ["docker.io%0d%0aInjected:%20yes", "docker.io%0aInjected:%20yes", "a%00b"]
)
async def test_a_header_injected_into_ns_goes_nowhere(client: HttpPeer, namespace: str) -> None:
    answer = await client.get(f"/v2/x/manifests/latest?ns={namespace}")
    assert (answer.status, code_of(answer)) == (400, "NAME_INVALID")
    assert answer.header("injected") is None
    assert (await client.get("/v2/")).status == 200  # the connection is in step


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (Unauthorized("wants credentials"), 403, "DENIED"),
        (Throttled("later", 30), 503, "TOOMANYREQUESTS"),
        (SourceError("down"), 502, "UNKNOWN"),
    ],
)
async def test_what_the_registry_refuses_is_told_without_a_challenge(
    client: HttpPeer, images: FakeImages, failure: SourceError, status: int, code: str
) -> None:
    images.failure = failure
    answer = await client.get(TAG)
    assert (answer.status, code_of(answer)) == (status, code)
    assert answer.header("www-authenticate") is None
    assert answer.header("retry-after") == ("30" if status == 503 else None)


async def test_a_mirror_that_takes_no_pushes_answers_405_with_an_allow_header(client: HttpPeer) -> None:
    for method, path in (("POST", "blobs/uploads/"), ("PUT", "manifests/x"), ("DELETE", "manifests/x")):
        answer = await client.get(f"/v2/team/app/{path}", "Content-Length: 0", method=method)
        assert (answer.status, code_of(answer), answer.header("allow")) == (405, "UNSUPPORTED", "GET, HEAD")


async def test_tags_and_referrers_are_left_to_the_registry(client: HttpPeer) -> None:
    for path in ("tags/list", f"referrers/sha256:{'0' * 64}"):
        answer = await client.get(f"/v2/library/alpine/{path}")
        assert (answer.status, code_of(answer)) == (404, "UNSUPPORTED")


async def test_every_request_is_counted_once_with_its_bytes(
    client: HttpPeer, metrics: CountedRequests, descriptor: Descriptor
) -> None:
    await client.get(TAG)
    await client.get(TAG, method="HEAD")
    missing = await client.get("/v2/library/alpine/manifests/none")
    await client.get("/v2/")
    await client.get("/nothing", method="HEAD")
    await client.get("/v2/")
    assert metrics.seen[:5] == [
        ("manifest", 200, len(BODY)),
        ("manifest", 200, 0),
        ("manifest", 404, len(missing.body)),
        ("ping", 200, 2),
        ("other", 404, 0),
    ]
