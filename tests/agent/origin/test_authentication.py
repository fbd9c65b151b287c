"""Authentication in each product's style; tokens are cached, one request in flight; nothing is told to strangers."""

import base64
import json
import logging
from dataclasses import replace

import pytest
import trio

from agent.content.errors import NotFound, ShoalError, SourceError, Throttled, Unauthorized
from agent.content.reference import Repository
from agent.origin.credentials import CredentialStore
from agent.origin.origin import open_origin
from agent.origin.upstream import Upstream
from tests.agent.origin.reading import app, everything_is_here, options, read_all, upstreams_of
from tests.fakes import upstream_auth
from tests.fakes.upstream import FakeUpstream, Fault, open_upstream
from tests.fakes.upstream_auth import STYLES, AuthStyle

LAYER = b"some layer" * 1000


def login(
    upstream: FakeUpstream | str, user: str = "user", password: str = "secret", **more: str
) -> CredentialStore:
    host = upstream if isinstance(upstream, str) else upstream.host
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    return CredentialStore(inline=json.dumps({"auths": {host: {"auth": auth, **more}}}))


def identity(upstream: FakeUpstream) -> CredentialStore:
    return CredentialStore(inline=json.dumps({"auths": {upstream.host: {"identitytoken": "identity"}}}))


@pytest.mark.parametrize("name", STYLES)
async def test_an_image_is_read_with_a_password_in_the_style_of(name: str) -> None:
    style = STYLES[name]
    async with open_upstream(auth=style, redirects_blobs=name in ("ecr", "acr", "docker-hub")) as upstream:
        image = upstream.add_image(layers=[LAYER])
        user, password = next(iter(style.users.items()))
        async with open_origin(upstreams_of(upstream), login(upstream, user, password)) as origin:
            told = await origin.head_manifest(app(upstream), "latest")
            fetched = await origin.get_manifest(app(upstream), str(told.digest))
            assert fetched.body == image.body
            assert await read_all(origin, app(upstream), image.layer_digests[0]) == LAYER
        assert [record.status for record in upstream.asked("/v2/library/app")].count(401) == 1
        if style.token_path:
            assert len(upstream.asked(style.token_path)) == 1, "one token serves all requests"
        assert all(record.authorization is None for record in upstream.asked(server="cdn"))


@pytest.mark.parametrize("name", [name for name, style in STYLES.items() if style.token_path])
async def test_an_identity_token_is_exchanged_or_sent_as_a_password_in_the_style_of(name: str) -> None:
    style = STYLES[name]
    async with open_upstream(auth=style) as upstream:
        image = upstream.add_image()
        async with open_origin(upstreams_of(upstream), identity(upstream)) as origin:
            assert (await origin.get_manifest(app(upstream), "latest")).body == image.body
        methods = [record.method for record in upstream.asked(style.token_path or "")]
        assert methods == (["POST"] if style.oauth_status == 200 else ["POST", "GET"])


@pytest.mark.parametrize("name", STYLES)
async def test_without_credentials_public_images_come_and_others_are_unauthorized_in_the_style_of(
    name: str,
) -> None:
    style = replace(STYLES[name], private=frozenset({"library/private"}))
    async with open_upstream(auth=style) as upstream, open_origin(upstreams_of(upstream)) as origin:
        image = upstream.add_image()
        upstream.add_image("library/private")
        if style.anonymous:
            assert (await origin.get_manifest(app(upstream), "latest")).body == image.body
            with pytest.raises(NotFound):
                await origin.get_manifest(app(upstream), "nothing")
        with pytest.raises(Unauthorized, match=upstream.host):
            await origin.get_manifest(app(upstream, "library/private"), "latest")


@pytest.mark.parametrize("name", STYLES)
async def test_a_wrong_password_is_unauthorized_in_the_style_of(name: str) -> None:
    async with open_upstream(auth=STYLES[name]) as upstream:
        upstream.add_image()
        async with open_origin(upstreams_of(upstream), login(upstream, "user", "wrong-password")) as origin:
            with pytest.raises(Unauthorized) as caught:
                await origin.get_manifest(app(upstream), "latest")
        assert "refuses the credentials that this node has for " in str(caught.value)
        assert "wrong-password" not in str(caught.value)
        assert len(upstream.requests) < 6


async def test_a_registry_token_is_sent_as_it_is() -> None:
    async with open_upstream(auth=upstream_auth.HARBOR) as upstream:
        upstream.add_image()
        store = CredentialStore(
            inline=json.dumps({"auths": {upstream.host: {"registrytoken": "ready-made"}}})
        )
        async with open_origin(upstreams_of(upstream), store) as origin:
            with pytest.raises(Unauthorized):
                await origin.get_manifest(app(upstream), "latest")
        assert upstream.requests[0].authorization == "Bearer ready-made"


async def test_one_token_request_is_in_flight_whoever_waits(autojump_clock: object) -> None:
    async with open_upstream(auth=upstream_auth.DOCKER_HUB) as upstream:
        upstream.add_image()
        upstream.faults.add(Fault(bytes_per_second=100), match="/token")
        async with (
            open_origin(upstreams_of(upstream), None, options()) as origin,
            trio.open_nursery() as nursery,
        ):
            for _ in range(10):
                nursery.start_soon(origin.get_manifest, app(upstream), "latest")
        assert len(upstream.asked("/token")) == 1


async def test_those_who_wait_for_a_token_share_its_failure(autojump_clock: object) -> None:
    async with open_upstream(auth=upstream_auth.DOCKER_HUB) as upstream:
        upstream.faults.add(Fault(status=403, stall_before_answer=False), match="/token")
        failures: list[ShoalError] = []
        async with open_origin(upstreams_of(upstream), None, options()) as origin:

            async def ask() -> None:
                try:
                    await origin.get_manifest(app(upstream), "latest")
                except ShoalError as error:
                    failures.append(error)

            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(ask)
            assert [type(failure) for failure in failures] == [Unauthorized] * 10
            asked = len(upstream.asked("/token"))
            assert asked < 4
            await ask()
            assert len(upstream.asked("/token")) == asked + 1, "a later request asks again"


async def test_who_waits_for_a_token_goes_on_when_the_first_to_ask_is_cancelled(
    autojump_clock: object,
) -> None:
    async with open_upstream(auth=upstream_auth.DOCKER_HUB) as upstream:
        image = upstream.add_image()
        upstream.faults.add(Fault(stall_before_answer=True), match="/token", times=1)
        bodies: list[bytes] = []
        async with (
            open_origin(upstreams_of(upstream), None, options()) as origin,
            trio.open_nursery() as nursery,
        ):

            async def ask() -> None:
                bodies.append((await origin.get_manifest(app(upstream), "latest")).body)

            async with trio.open_nursery() as first:
                first.start_soon(ask)
                await trio.sleep(1)
                nursery.start_soon(ask)
                await trio.sleep(1)
                first.cancel_scope.cancel()
        assert bodies == [image.body]


async def test_a_token_is_renewed_before_it_expires(autojump_clock: object) -> None:
    style = replace(upstream_auth.DOCKER_HUB, expires_in=None)
    async with open_upstream(auth=style) as upstream:
        upstream.add_image()
        async with open_origin(upstreams_of(upstream), None, options()) as origin:
            for _ in range(5):
                await origin.get_manifest(app(upstream), "latest")
                await trio.sleep(20)
        assert len(upstream.asked("/token")) == 2, "60 s where nothing is said of its life"
        assert [record.status for record in upstream.asked("manifests")] == [401, 200, 200, 200, 200, 200]


async def test_a_token_that_the_registry_revoked_is_replaced() -> None:
    async with open_upstream(auth=upstream_auth.DOCKER_HUB) as upstream:
        upstream.add_image()
        async with open_origin(upstreams_of(upstream)) as origin:
            await origin.get_manifest(app(upstream), "latest")
            upstream.gate.revoke_all()
            await origin.get_manifest(app(upstream), "latest")
        assert len(upstream.asked("/token")) == 2


async def test_each_repository_has_a_token_of_its_own() -> None:
    async with open_upstream(auth=upstream_auth.DOCKER_HUB) as upstream:
        upstream.add_image("library/one")
        upstream.add_image("library/two")
        async with open_origin(upstreams_of(upstream)) as origin:
            await origin.get_manifest(app(upstream, "library/one"), "latest")
            await origin.get_manifest(app(upstream, "library/two"), "latest")
        assert len(upstream.asked("/token")) == 2


async def test_more_scope_is_asked_for_where_the_registry_wants_it() -> None:
    async with open_upstream(auth=upstream_auth.DOCKER_HUB) as upstream:
        upstream.add_image()
        more = (
            'Bearer realm="{}/token",service="s",scope="repository:base/app:pull",error="insufficient_scope"'
        )
        async with open_origin(upstreams_of(upstream)) as origin:
            await origin.get_manifest(app(upstream), "latest")
            refusal = Fault(status=403, headers={"www-authenticate": more.format(upstream.url)})
            upstream.faults.add(refusal, match="manifests", times=1)
            await origin.get_manifest(app(upstream), "latest")
        assert upstream.asked("/token")[-1].query.count("scope=") == 2


async def test_an_unknown_scheme_is_unauthorized_and_named() -> None:
    async with (
        open_upstream(auth=AuthStyle(("Negotiate",))) as upstream,
        open_origin(upstreams_of(upstream)) as origin,
    ):
        with pytest.raises(Unauthorized, match="asks for negotiate"):
            await origin.get_manifest(app(upstream), "latest")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "no usable answer"),
        (b"[]", "no usable answer"),
        (b"{" * 100_000, "no usable answer"),
        (b'{"token": 5}', "no usable token"),
        (b'{"token": "a\\r\\nb: c"}', "no usable token"),
        (b'{"token": "' + b"x" * (1024 * 1024) + b'"}', "more than 1048576 bytes"),
    ],
)
async def test_a_bad_token_answer_is_an_error_that_quotes_nothing(body: bytes, text: str) -> None:
    async with (
        open_upstream(auth=upstream_auth.DOCKER_HUB) as upstream,
        open_origin(upstreams_of(upstream)) as origin,
    ):
        upstream.faults.add(Fault(status=200, body=body), match="/token")
        with pytest.raises(SourceError, match=text):
            await origin.get_manifest(app(upstream), "latest")


async def test_a_token_server_that_asks_for_patience_is_throttled_and_a_broken_one_tried_again(
    autojump_clock: object,
) -> None:
    async with (
        open_upstream(auth=upstream_auth.DOCKER_HUB) as upstream,
        open_origin(upstreams_of(upstream)) as origin,
    ):
        upstream.add_image()
        upstream.faults.add(Fault(status=429, retry_after="9"), match="/token", times=1)
        with pytest.raises(Throttled) as caught:
            await origin.get_manifest(app(upstream), "latest")
        assert caught.value.retry_after_seconds == 9
        upstream.faults.add(Fault(status=500), match="/token", times=1)
        await origin.get_manifest(app(upstream), "latest")


# --- a realm elsewhere, to collect credentials (a second fake is the stranger; every name is this machine) ------------


def at(upstream: FakeUpstream, name: str) -> str:
    return f"http://{name}:{upstream.host.rpartition(':')[2]}"


async def read_from(registry: FakeUpstream, name: str, **more: object) -> None:
    address = at(registry, name).removeprefix("http://")
    upstream = Upstream(address, f"http://{address}", **more)  # type: ignore[arg-type]
    store = login(address)
    async with open_origin([upstream], store, options(everything_is_here)) as origin:
        await origin.get_manifest(Repository.of(address, "library/app"), "latest")


async def test_a_realm_of_the_same_domain_gets_the_credentials() -> None:
    async with open_upstream(auth=upstream_auth.HARBOR) as registry:
        registry.add_image()
        registry.gate.style = replace(upstream_auth.HARBOR, realm_url=at(registry, "auth.company.test"))
        await read_from(registry, "registry.company.test")
        assert registry.asked("/service/token")[0].authorization is not None


@pytest.mark.parametrize(
    "stranger", ["collector.test", "company.test.collector.test", "registry-company.test"]
)
async def test_a_realm_elsewhere_never_sees_credentials(stranger: str) -> None:
    async with open_upstream(auth=upstream_auth.HARBOR) as registry:
        registry.add_image()
        registry.gate.style = replace(upstream_auth.HARBOR, realm_url=at(registry, stranger))
        with pytest.raises(Unauthorized, match="not of its domain") as caught:
            await read_from(registry, "registry.company.test")
        assert "secret" not in str(caught.value)
        assert registry.asked("/service/token"), "it is asked, anonymously"
        assert all(record.authorization is None for record in registry.asked("/service/token"))


async def test_a_realm_elsewhere_gets_them_where_the_configuration_trusts_it() -> None:
    async with open_upstream(auth=upstream_auth.HARBOR) as registry:
        registry.add_image()
        registry.gate.style = replace(upstream_auth.HARBOR, realm_url=at(registry, "login.elsewhere.test"))
        await read_from(registry, "registry.company.test", trusted_realms=("login.elsewhere.test",))


@pytest.mark.parametrize(
    "realm",
    [
        "http://169.254.169.254",
        "http://2130706433",
        "http://a@b.test",
        "file:///etc/passwd",
        "",
        "http://[::1]",
    ],
)
async def test_a_realm_that_is_an_address_or_nonsense_is_not_asked(realm: str) -> None:
    async with open_upstream(auth=replace(upstream_auth.HARBOR, realm_url=realm or "x")) as registry:
        registry.add_image()
        with pytest.raises(ShoalError):
            await read_from(registry, "registry.company.test")
        assert [record.path for record in registry.requests] == ["/v2/library/app/manifests/latest"]


async def test_neither_logs_nor_errors_hold_a_secret(
    caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_upstream(auth=upstream_auth.DISTRIBUTION_TOKEN, redirects_blobs=True) as upstream:
        image = upstream.add_image(layers=[LAYER])
        async with open_origin(upstreams_of(upstream), login(upstream, "user", "secret")) as origin:
            await read_all(origin, app(upstream), image.layer_digests[0])
            upstream.faults.add(Fault(status=404), server="cdn")
            with pytest.raises(NotFound) as caught:
                await read_all(origin, app(upstream), image.layer_digests[0])
    secrets = ["secret", "Signature", base64.b64encode(b"user:secret").decode(), *upstream.gate.issued]
    assert not [secret for secret in secrets if secret in caplog.text or secret in str(caught.value)]
