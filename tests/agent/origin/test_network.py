"""Connections: how much is read at once, where a registry may send us, what is trusted, how many at a time."""

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.content.errors import InputError, SourceError
from agent.origin.address_rule import AddressKind
from agent.origin.network import AwayNetwork, HomeNetwork, Whereabouts
from agent.origin.origin import open_origin
from agent.origin.upstream import Upstream
from tests.agent.origin.reading import app, options, read_all, receive, upstreams_of
from tests.fakes.upstream import Fault, open_upstream

LAYER = bytes(8 * 1024 * 1024)


async def test_a_body_is_read_in_pieces_as_large_as_what_has_come() -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream)) as origin:
        digest = upstream.shelf.add_blob(LAYER)
        async with origin.open_content(app(upstream), digest) as reader:
            pieces = []
            while piece := await receive(reader):
                pieces.append(len(piece))
                await trio.sleep(0.002)  # the sender gets ahead
        assert sum(pieces) == len(LAYER)
        assert max(pieces) > 256 * 1024


async def test_connections_to_one_registry_are_limited() -> None:
    async with open_upstream() as upstream:
        digest = upstream.shelf.add_blob(bytes(100_000))
        limited = Upstream(upstream.host, upstream.url, max_connections=3)
        async with open_origin([limited]) as origin, trio.open_nursery() as nursery:
            for _ in range(12):
                nursery.start_soon(read_all, origin, app(upstream), digest)
        assert len(upstream.requests) == 12
        assert len({record.client for record in upstream.requests}) <= 3


async def test_a_registry_on_loopback_is_known_to_be_there() -> None:
    whereabouts = Whereabouts()
    async with open_upstream() as upstream:
        stream = await HomeNetwork(whereabouts).connect("127.0.0.1", int(upstream.host.rpartition(":")[2]))
        await stream.aclose()
    assert whereabouts.kind is AddressKind.LOOPBACK


async def test_a_name_that_resolves_inward_is_not_connected_to() -> None:
    for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"):

        async def inward(host: str, port: int, address: str = address) -> list[str]:
            return [address]

        away = AwayNetwork(Whereabouts(AddressKind.PUBLIC), inward)
        with pytest.raises(SourceError, match=r"sends us to cdn\.test, which is at a .* address"):
            await away.connect("cdn.test", 1)


async def test_of_several_addresses_only_allowed_ones_are_tried() -> None:
    async def both(host: str, port: int) -> list[str]:
        return ["169.254.169.254", "127.0.0.1"]

    async with open_upstream() as upstream:
        away = AwayNetwork(Whereabouts(AddressKind.LOOPBACK), both)
        stream = await away.connect("cdn.test", int(upstream.host.rpartition(":")[2]))
        assert stream.socket.getpeername()[0] == "127.0.0.1"
        await stream.aclose()


def test_the_configuration_may_allow_addresses_inside() -> None:
    for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254"):
        assert not Whereabouts(AddressKind.PUBLIC).may_send_to(address)
        assert Whereabouts(AddressKind.PUBLIC, allow_private=True).may_send_to(address)


async def test_a_redirect_to_a_name_that_leads_inside_is_an_error_that_names_it(
    autojump_clock: object,
) -> None:
    async def resolver(host: str, port: int) -> list[str]:
        return ["169.254.169.254" if host == "cdn.test" else "127.0.0.1"]

    async with open_upstream(redirects_blobs=True) as upstream:
        digest = upstream.shelf.add_blob(b"content")
        upstream.redirect_base = upstream.cdn_url.replace("127.0.0.1", "cdn.test")
        async with open_origin(upstreams_of(upstream), None, options(resolver)) as origin:
            with pytest.raises(SourceError, match=r"cdn\.test, which is at a link-local address") as caught:
                await read_all(origin, app(upstream), digest)
        assert "Signature" not in str(caught.value)
        upstream.redirect_base = upstream.cdn_url.replace("127.0.0.1", "cdn2.test")
        async with open_origin(upstreams_of(upstream), None, options(resolver)) as origin:
            assert await read_all(origin, app(upstream), digest) == b"content"


async def test_a_registry_that_redirects_in_circles_is_left() -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream)) as origin:
        upstream.faults.add(Fault(redirect="/v2/library/app/manifests/latest"))
        with pytest.raises(
            SourceError, match=r"redirects more than 10 times: not followed for .*library/app:latest"
        ):
            await origin.get_manifest(app(upstream), "latest")
        assert len(upstream.requests) == 11


async def test_cookies_are_not_kept() -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream)) as origin:
        upstream.add_image()
        upstream.headers = {"set-cookie": "session=1; Path=/"}
        await origin.get_manifest(app(upstream), "latest")
        await origin.get_manifest(app(upstream), "latest")
        assert all("cookie" not in record.headers for record in upstream.requests)


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that vouches for itself, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a registry of these tests")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start.replace(year=2120))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "registry.pem"
    pem = built.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(pem + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return path, context


async def test_a_private_authority_is_trusted_where_its_file_is_configured(
    certificate: tuple[Path, ssl.SSLContext], autojump_clock: object
) -> None:
    path, context = certificate
    async with open_upstream(tls=context) as upstream:
        image = upstream.add_image(layers=[LAYER])
        trusting = Upstream(upstream.host, upstream.url, ca_file=path)
        async with open_origin([trusting], None, options()) as origin:
            assert (await origin.get_manifest(app(upstream), "latest")).body == image.body
            async with origin.open_content(app(upstream), image.layer_digests[0]) as reader:
                assert await receive(reader)
        async with open_origin(upstreams_of(upstream), None, options()) as origin:
            with pytest.raises(SourceError, match="its certificate is not trusted"):
                await origin.get_manifest(app(upstream), "latest")


async def test_a_redirect_from_tls_to_plain_is_refused(certificate: tuple[Path, ssl.SSLContext]) -> None:
    path, context = certificate
    async with open_upstream(tls=context, redirects_blobs=True) as upstream:
        digest = upstream.shelf.add_blob(b"content")
        async with open_origin([Upstream(upstream.host, upstream.url, ca_file=path)]) as origin:
            with pytest.raises(SourceError, match="redirects from https to http"):
                await read_all(origin, app(upstream), digest)
        assert not upstream.asked(server="cdn")


async def test_a_ca_file_that_is_none_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for path in (tmp_path / "gone.pem", tmp_path / "empty.pem"):
        with pytest.raises(InputError, match=f"ca_file {path} of registry registry.test is unusable"):
            async with open_origin([Upstream("registry.test", "https://registry.test", ca_file=path)]):
                pass


@pytest.mark.parametrize(
    "url", ["registry.test", "ftp://registry.test", "https://", "https://a:b@registry.test", "https://r/?x"]
)
def test_an_upstream_s_url_is_checked(url: str) -> None:
    with pytest.raises(InputError, match=r"invalid URL for registry registry\.test"):
        Upstream("registry.test", url)


def test_docker_hub_has_its_own_host() -> None:
    assert Upstream.of("docker.io").url == "https://registry-1.docker.io"
    assert Upstream.of("quay.io").url == "https://quay.io"


async def test_a_registry_is_configured_once() -> None:
    with pytest.raises(InputError, match="configured twice"):
        async with open_origin([Upstream.of("quay.io"), Upstream.of("quay.io")]):
            pass
