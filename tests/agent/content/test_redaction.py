"""Secrets of every form never come out of a text; what is none stays legible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.redaction import is_telling_name, redact

SECRET = "hUnt3r2s3cretv4lue"

FORMS = [
    "Authorization: Bearer {}",
    "authorization: Basic {}",
    'Proxy-Authorization: Digest username="a", response="{}"',
    "{{'Authorization': 'Bearer {}', 'accept': '*/*'}}",
    "[(b'authorization', b'Bearer {}'), (b'host', b'a')]",
    "[('Authorization', 'Token {}')]",
    '{{"authorization": "{}"}}',
    "Headers([('authorization', 'Bearer {}')])",
    "Cookie: session={}; theme=dark",
    "set-cookie: session={}",
    "sent Bearer {} and failed",
    "sent bearer\n{}",
    "https://ada:{}@registry.example/v2/",
    "http://{}@registry.example:5000",
    "https://ada:pa/ss?{}@registry.example/v2/",
    "ftp://x:{}@h",
    "https://cdn.example/blob?Expires=1&Signature={}&Key-Pair-Id=K",
    "https://storage.example/x?sig={}",
    "https://storage.example/x?a=1#{}",
    "https://h?{}",
    "GET /blob/data?X-Amz-Signature={} HTTP/1.1",
    "target='/blob?anything={}'",
    "X-Amz-Signature={}",
    "X-Amz-Security-Token: {}",
    "X-Goog-Credential={}",
    "password={}",
    "password = '{}'",
    'PASSWORD: "{}"',
    '{{"password":"{}"}}',
    "{{'registry_password': '{}'}}",
    "passwd={};",
    "db_password={}",
    '"identitytoken": "{}"',
    '{{"registrytoken" : "{}"}}',
    '{{"auths": {{"r": {{"auth": "{}"}}}}}}',
    "access_token={}&x=1",
    '"refresh_token":"{}"',
    "client_secret={}",
    "api_key={}",
    "api-key: {}",
    "secret={}",
    "token '{}'".replace(" ", "="),
    'password="quo\\"ted {}"',
    "eyJhbGciOiJ.{}.sig",
    "token is eyJhbGciOi{}",
    "ghp_{}",
    "glpat-{}",
    "dckr_pat_{}",
    "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\n{}",
]


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_of_this_form_does_not_come_out(form: str) -> None:
    for text in (form.format(SECRET), f"before {form.format(SECRET)} after", form.format(SECRET).upper()):
        assert SECRET.lower() not in redact(text).lower()


@pytest.mark.parametrize(
    "text",
    [
        "sha256:0123456789abcdef",
        "docker.io/library/alpine:3.20@sha256:0123abc",
        "https://registry.example:5000/v2/library/alpine/blobs/sha256:0123abc",
        "https://registry.example:5000/v2/name@sha256:0123",
        "http://[::1]:5000/v2/name@sha256:0123",
        "wants Basic authentication, offers a Bearer challenge",
        'Bearer realm="https://auth.example/token",service="registry"',
        "/var/lib/shoal/blobs/sha256/ab",
        "10.0.0.1:5051 closed the connection",
        "is this right?",
        "author=ada tokens=3 passed=1",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_where_a_signed_url_points_stays_legible() -> None:
    assert redact("https://cdn.example/a/b?Signature=x") == "https://cdn.example/a/b?***"


@pytest.mark.parametrize(
    "name", ["password", "Authorization", "refresh_token", "client_secret", "cookie", "api_key"]
)
def test_a_telling_name_is_known(name: str) -> None:
    assert is_telling_name(name)


@pytest.mark.parametrize("name", ["digest", "tokens", "author", "repository", "url", "peer"])
def test_a_harmless_name_is_known(name: str) -> None:
    assert not is_telling_name(name)


@given(st.text(max_size=300), st.sampled_from(FORMS), st.text(max_size=50))
def test_a_secret_does_not_come_out_whatever_stands_after_it(before: str, form: str, after: str) -> None:
    assert SECRET not in redact(f"{form.format(SECRET)} {after}")
    assert isinstance(redact(before), str)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece", ["://a:", "password=", "'\\", "/?", "-----BEGIN PRIVATE KEY-----", "x-amz-"]
)
def test_a_hostile_text_costs_little_time(piece: str) -> None:
    redact(piece * (200_000 // len(piece)))
