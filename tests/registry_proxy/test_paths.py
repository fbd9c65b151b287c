"""Request lines: which upstream and content they mean, and that nothing odd gets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.digest import Digest
from agent.content.reference import CLUSTER_REGISTRY, Repository
from registry_proxy.errors import ErrorCode, RequestRefused
from registry_proxy.paths import parse_request
from registry_proxy.requests import (
    BlobDelete,
    BlobRequest,
    CatalogRequest,
    ManifestDelete,
    ManifestPush,
    ManifestRequest,
    Page,
    Ping,
    ReferrersRequest,
    RegistryRequest,
    TagsRequest,
    UploadAppend,
    UploadBegin,
    UploadCancel,
    UploadFinish,
    UploadStatus,
)

HEX = "a" * 64
DIGEST = Digest("sha256", HEX)
ALPINE = Repository("docker.io", "library/alpine")
APP = Repository(CLUSTER_REGISTRY, "team/app")
ALL = Page("", 1000)


def parse(path: str, query: str = "", method: str = "GET", default: str = "docker.io") -> RegistryRequest:
    return parse_request(method, path, query, default)


def refusal(path: str, query: str = "", method: str = "GET") -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        parse(path, query, method)
    return caught.value


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_the_root_is_a_ping(path: str) -> None:
    assert parse(path) == Ping()


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/v2/library/alpine/manifests/3.20", "ns=docker.io", ManifestRequest(ALPINE, "3.20")),
        ("/v2/library/alpine/manifests/3.20", "", ManifestRequest(ALPINE, "3.20")),
        ("/v2/docker.io/library/alpine/manifests/3.20", "", ManifestRequest(ALPINE, "3.20")),
        ("/v2/registry-1.docker.io/library/alpine/manifests/3.20", "", ManifestRequest(ALPINE, "3.20")),
        (
            "/v2/alpine/manifests/latest",
            "",
            ManifestRequest(ALPINE, "latest", Repository(CLUSTER_REGISTRY, "alpine")),
        ),
        ("/v2/team/app/manifests/1", "", ManifestRequest(Repository("docker.io", "team/app"), "1", APP)),
        (
            "/v2/team/app/manifests/1",
            "ns=docker.io",
            ManifestRequest(Repository("docker.io", "team/app"), "1"),
        ),
        (
            f"/v2/team/app/referrers/sha256:{HEX}",
            "artifactType=a%2Fb&n=7&last=x",
            ReferrersRequest(Repository("docker.io", "team/app"), DIGEST, Page("x", 7), "a/b", APP),
        ),
        ("/v2/_catalog", "n=10&last=a", CatalogRequest(Page("a", 10))),
        ("/v2/_catalog", "n=99999999999999999999", CatalogRequest(ALL)),
        (f"/v2/library/alpine/manifests/sha256:{HEX}", "", ManifestRequest(ALPINE, DIGEST)),
        (f"/v2/library/alpine/blobs/sha256:{HEX}", "ns=docker.io", BlobRequest(ALPINE, DIGEST)),
        (f"/v2/library/alpine/blobs/sha256%3A{HEX}", "", BlobRequest(ALPINE, DIGEST)),
        (f"/v2/library/alpine/blobs/sha256%3a{HEX}", "", BlobRequest(ALPINE, DIGEST)),
        ("/v2/quay.io/a/b/c/manifests/v1", "", ManifestRequest(Repository("quay.io", "a/b/c"), "v1")),
        ("/v2/localhost:5000/x/manifests/v1", "", ManifestRequest(Repository("localhost:5000", "x"), "v1")),
        (
            "/v2/x/manifests/v1",
            "ns=127.0.0.1%3A5000",
            ManifestRequest(Repository("127.0.0.1:5000", "x"), "v1"),
        ),
        ("/v2/x/manifests/v1", "ns=QUAY.IO", ManifestRequest(Repository("quay.io", "x"), "v1")),
        ("/v2/x/manifests/v1", "other=1&ns=quay.io&last=", ManifestRequest(Repository("quay.io", "x"), "v1")),
        ("/v2/x/manifests/v1", "ns=quay.io&ns=quay.io", ManifestRequest(Repository("quay.io", "x"), "v1")),
        ("/v2/a/blobs/manifests/v1", "ns=q.io", ManifestRequest(Repository("q.io", "a/blobs"), "v1")),
        ("/v2/a/manifests/manifests/v1", "ns=q.io", ManifestRequest(Repository("q.io", "a/manifests"), "v1")),
        (
            "/v2/manifests/manifests/manifests",
            "ns=q.io",
            ManifestRequest(Repository("q.io", "manifests"), "manifests"),
        ),
        (
            "/v2/a/blobs/uploads/manifests/v1",
            "ns=q.io",
            ManifestRequest(Repository("q.io", "a/blobs/uploads"), "v1"),
        ),
        ("/v2/library/alpine/tags/list", "n=5", TagsRequest(ALPINE, Page("", 5))),
        (f"/v2/library/alpine/referrers/sha256:{HEX}", "", ReferrersRequest(ALPINE, DIGEST, ALL)),
    ],
)
def test_a_read_is_parsed_into_what_it_means(path: str, query: str, expected: RegistryRequest) -> None:
    assert parse(path, query) == expected
    assert parse(path, query, "HEAD") == expected


def test_a_request_that_names_no_registry_means_the_configured_default() -> None:
    own = Repository(CLUSTER_REGISTRY, "x")
    expected = ManifestRequest(Repository("quay.io", "x"), "v1", own)
    assert parse("/v2/x/manifests/v1", default="quay.io") == expected


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../..",
        "a/../b",
        "a//b",
        "/a",
        "a/",
        "A",
        "a b",
        "a\\b",
        ".a",
        "a:b/c",
        "_a",
        "-a",
        "a..b",
        "a\x00",
        "ä",
    ],
)
def test_a_name_outside_the_grammar_is_refused(name: str) -> None:
    assert refusal(f"/v2/{name}/manifests/latest").status in {400, 404}
    assert refusal(f"/v2/{name}/blobs/sha256:{HEX}", "ns=docker.io").code in {
        ErrorCode.NAME_INVALID,
        ErrorCode.UNSUPPORTED,
    }


@pytest.mark.parametrize(
    "encoded",
    [
        "%2e%2e",
        "..%2f..",
        "%2F",
        "a%00",
        "%252e%252e",
        "%c0%ae",
        "%61",
        "%",
        "%zz",
        "a%0d%0aX:y",
        "%u002e",
        "%5c",
    ],
)
def test_percent_encoding_is_refused_everywhere_in_a_path(encoded: str) -> None:
    for path in [
        f"/v2/{encoded}/manifests/latest",
        f"/v2/a/{encoded}/manifests/latest",
        f"/v2/a/manifests/{encoded}",
        f"/v2/a/blobs/{encoded}",
        f"/v2/a/{encoded}/latest",
        f"/{encoded}/a/manifests/latest",
    ]:
        assert refusal(path).status in {400, 404}


@pytest.mark.parametrize(
    "namespace",
    [
        "", "docker.io/library", "http://docker.io", "docker.io%0d%0aHost:%20evil", "docker.io%00", "user@docker.io",
        "docker.io#x", "docker.io%2f..", "-x", "a:b", "a:123456", "[::1", "%ff", "x" * 300, "docker.io ", "a..b",
        "docker.io%20", "docker.io&ns=quay.io",
    ],
)  # fmt: skip
def test_a_namespace_that_is_no_registry_is_refused(namespace: str) -> None:
    error = refusal("/v2/library/alpine/manifests/latest", f"ns={namespace}")
    assert (error.status, error.code) == (400, ErrorCode.NAME_INVALID)


def test_a_query_of_very_many_fields_is_refused() -> None:
    assert refusal("/v2/a/manifests/latest", "&".join(["a=1"] * 1000)).status == 400


@pytest.mark.parametrize(
    "digest",
    [
        "sha256:",
        f"sha256:{HEX[1:]}",
        f"sha256:{HEX.upper()}",
        f"md5:{HEX[:32]}",
        f"sha256:{HEX}/..",
        "sha512:" + HEX,
        "x",
    ],
)
def test_a_bad_digest_is_exactly_400(digest: str) -> None:
    if "/" not in digest:
        error = refusal(f"/v2/library/alpine/blobs/{digest}")
        assert (error.status, error.code) == (400, ErrorCode.DIGEST_INVALID)
    if ":" in digest and "/" not in digest:
        assert refusal(f"/v2/library/alpine/manifests/{digest}").code is ErrorCode.DIGEST_INVALID
    assert refusal(f"/v2/library/alpine/blobs/{digest}").status in {400, 404}


@pytest.mark.parametrize("tag", [".INVALID_MANIFEST_NAME", "-x", "a" * 129])
def test_a_tag_that_cannot_be_is_unknown(tag: str) -> None:
    error = refusal(f"/v2/library/alpine/manifests/{tag}")
    assert (error.status, error.code) == (404, ErrorCode.MANIFEST_UNKNOWN)


UPLOADS = "/v2/team/app/blobs/uploads"


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("POST", f"{UPLOADS}/", "", UploadBegin(APP)),
        ("POST", UPLOADS, "", UploadBegin(APP)),
        ("POST", f"{UPLOADS}/", f"digest=sha256%3A{HEX}", UploadBegin(APP, DIGEST)),
        (
            "POST",
            f"{UPLOADS}/",
            f"mount=sha256:{HEX}&from=team/base",
            UploadBegin(APP, None, DIGEST, Repository(CLUSTER_REGISTRY, "team/base")),
        ),
        ("POST", f"{UPLOADS}/", f"mount=sha256:{HEX}", UploadBegin(APP, None, DIGEST)),
        ("POST", f"{UPLOADS}/", f"mount=sha256:{HEX}&from=../x", UploadBegin(APP)),
        ("GET", f"{UPLOADS}/some-id", "", UploadStatus(APP, "some-id")),
        ("PATCH", f"{UPLOADS}/some-id", "", UploadAppend(APP, "some-id")),
        ("PUT", f"{UPLOADS}/some-id", f"digest=sha256:{HEX}", UploadFinish(APP, "some-id", DIGEST)),
        ("DELETE", f"{UPLOADS}/some-id", "", UploadCancel(APP, "some-id")),
        ("PUT", "/v2/team/app/manifests/1", "", ManifestPush(APP, None, ("1",))),
        ("PUT", "/v2/team/app/manifests/1", f"digest=sha256:{HEX}", ManifestPush(APP, DIGEST, ("1",))),
        ("PUT", f"/v2/team/app/manifests/sha256:{HEX}", "", ManifestPush(APP, DIGEST, ())),
        (
            "PUT",
            f"/v2/team/app/manifests/sha256:{HEX}",
            "tag=1&tag=2&tag=1",
            ManifestPush(APP, DIGEST, ("1", "2")),
        ),
        ("DELETE", "/v2/team/app/manifests/1", "", ManifestDelete(APP, "1")),
        ("DELETE", f"/v2/team/app/manifests/sha256:{HEX}", "", ManifestDelete(APP, DIGEST)),
        ("DELETE", f"/v2/team/app/blobs/sha256:{HEX}", "", BlobDelete(APP, DIGEST)),
    ],
)
def test_what_changes_something_is_about_the_clusters_own_images(
    method: str, path: str, query: str, expected: RegistryRequest
) -> None:
    assert parse(path, query, method) == expected


CHANGES = [
    ("POST", "blobs/uploads/"),
    ("PATCH", "blobs/uploads/some-id"),
    ("PUT", "manifests/latest"),
    ("DELETE", "manifests/latest"),
    ("DELETE", f"blobs/sha256:{HEX}"),
]


@pytest.mark.parametrize(("method", "rest"), CHANGES)
@pytest.mark.parametrize(
    ("name", "query"),
    [("team/app", "ns=docker.io"), ("quay.io/team/app", ""), (f"{CLUSTER_REGISTRY}/team/app", "")],
)
def test_nothing_is_pushed_to_an_upstream(method: str, rest: str, name: str, query: str) -> None:
    error = refusal(f"/v2/{name}/{rest}", query, method)
    assert (error.status, error.code) == (405, ErrorCode.UNSUPPORTED)
    assert dict(error.headers)["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(("method", "rest"), CHANGES)
def test_nothing_is_pushed_where_the_official_images_are(method: str, rest: str) -> None:
    error = refusal(f"/v2/library/alpine/{rest}", method=method)
    assert (error.status, error.code) == (403, ErrorCode.DENIED)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("OPTIONS", "/v2/", "GET, HEAD"),
        ("POST", "/v2/", "GET, HEAD"),
        ("POST", "/v2/a/manifests/latest", "GET, HEAD, PUT, DELETE"),
        ("PUT", f"/v2/a/blobs/sha256:{HEX}", "GET, HEAD, DELETE"),
        ("PUT", "/v2/a/tags/list", "GET, HEAD"),
        ("GET", "/v2/a/blobs/uploads/", "POST"),
        ("POST", "/v2/a/blobs/uploads/some-id", "GET, PATCH, PUT, DELETE"),
    ],
)
def test_a_method_that_is_not_for_this_path_is_405_with_what_is(method: str, path: str, allowed: str) -> None:
    error = refusal(path, method=method)
    assert (error.status, error.code) == (405, ErrorCode.UNSUPPORTED)
    assert dict(error.headers)["Allow"] == allowed


@pytest.mark.parametrize("n", ["-1", "x", "1.5", "", "%D9%A1"])
def test_a_page_of_no_size_is_refused(n: str) -> None:
    assert refusal("/v2/_catalog", f"n={n}").status == 400


@pytest.mark.parametrize(
    "path",
    ["/", "*", "", "/v1/search", "/v2/_catalog/", "/v2/a/tags/other", "/v3/", "//v2/", "/v2/a", "/v2//"],
)
def test_a_path_that_nothing_is_at_is_404(path: str) -> None:
    assert refusal(path).status == 404


def test_a_very_long_path_is_refused() -> None:
    assert refusal("/v2/" + "a/" * 5000 + "manifests/latest").status == 400


_WORDS = ["/v2/", "manifests/", "blobs/", "%2f", "..", f"sha256:{HEX}"]
_PATHS = st.lists(st.sampled_from([*"abz09./:_-%~@?#\\ \x00\r\nA", *_WORDS]), max_size=12).map("".join)


def parsed_or_refused(method: str, path: str, query: str) -> RegistryRequest | RequestRefused:
    try:
        return parse_request(method, path, query, "docker.io")
    except RequestRefused as error:
        return error


@given(_PATHS, st.text(max_size=30), st.sampled_from(["GET", "HEAD", "PUT", "x"]))
def test_any_line_is_refused_or_means_something_well_formed(path: str, query: str, method: str) -> None:
    for candidate in (path, f"/v2/{path}", f"/v2/{path}/manifests/latest", f"/v2/x/blobs/{path}"):
        wanted = parsed_or_refused(method, candidate, query)
        if isinstance(wanted, RequestRefused):
            assert wanted.status in {400, 404, 405}
            continue
        if isinstance(wanted, Ping | CatalogRequest):
            continue
        repository = wanted.repository
        assert Repository.of(repository.registry, repository.name) == repository
        if isinstance(wanted, BlobRequest | ReferrersRequest):
            assert Digest.parse(str(wanted.digest)) == wanted.digest


@given(st.text(max_size=40))
def test_any_namespace_is_refused_or_canonical(text: str) -> None:
    wanted = parsed_or_refused("GET", "/v2/a/b/manifests/latest", f"ns={text}")
    if isinstance(wanted, RequestRefused):
        assert wanted.status == 400
    else:
        assert isinstance(wanted, ManifestRequest)
        assert Repository.of(wanted.repository.registry, "a/b") == wanted.repository
