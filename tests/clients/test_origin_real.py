"""The registry client against the real docker-registry: without auth, with htpasswd, with a token server."""

import base64
import json
from pathlib import Path

import pytest

from agent.content.digest import Digest
from agent.content.document import parse_document
from agent.content.errors import NotFound, Unauthorized
from agent.content.reference import Repository
from agent.origin.credentials import CredentialStore
from agent.origin.origin import Origin, open_origin
from agent.origin.upstream import Upstream
from tests.agent.origin.reading import receive
from tests.clients.registry import HTPASSWD_PASSWORD, HTPASSWD_USER, Registry, basic_auth, open_registry
from tests.clients.skopeo import Skopeo
from tests.clients.token_server import SERVICE, open_token_server
from tests.fakes.images import Image, make_image, random_layer
from tests.fakes.publish import push_image, write_layout
from tests.fakes.upstream import open_upstream

LAYER_BYTES = 3_000_000


def image_of_two_layers() -> Image:
    return make_image([random_layer("one", LAYER_BYTES), random_layer("two", 1000)])


def upstream_of(registry: Registry) -> Upstream:
    return Upstream(registry.authority, registry.url)


def team_app(registry: Registry) -> Repository:
    return Repository.of(registry.authority, "team/app")


def login(registry: Registry, user: str, password: str) -> CredentialStore:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    return CredentialStore(inline=json.dumps({"auths": {registry.authority: {"auth": auth}}}))


async def read(
    origin: Origin, repository: Repository, digest: Digest, start: int = 0, stop: int | None = None
) -> bytes:
    async with origin.open_content(repository, digest, start=start, stop=stop) as reader:
        assert reader.start == start
        parts = []
        while part := await receive(reader):
            parts.append(part)
        return b"".join(parts)


async def pull_and_check(origin: Origin, registry: Registry, image: Image) -> None:
    """By tag, then by digest, then each blob, one of them in part."""
    repository = team_app(registry)
    told = await origin.head_manifest(repository, "latest")
    assert (told.digest, told.size) == (image.manifest.digest, image.manifest.size_bytes)
    fetched = await origin.get_manifest(repository, str(told.digest))
    assert fetched.descriptor.media_type == image.media_type
    document = parse_document(fetched.body, fetched.descriptor.media_type)
    for descriptor in document.children:
        body = await read(origin, repository, descriptor.digest)
        assert Digest.of(body) == descriptor.digest
        assert len(body) == descriptor.size
    layer = document.layers[0]
    whole = await read(origin, repository, layer.digest)
    assert await read(origin, repository, layer.digest, 1_000_000, 1_000_100) == whole[1_000_000:1_000_100]


@pytest.mark.real("registry")
async def test_an_image_comes_without_auth(registry: Registry) -> None:
    image = image_of_two_layers()
    await push_image(image, registry.url, "team/app", "latest")
    async with open_origin([upstream_of(registry)]) as origin:
        await pull_and_check(origin, registry, image)
        with pytest.raises(NotFound, match="MANIFEST_UNKNOWN"):
            await origin.get_manifest(team_app(registry), "other")
        with pytest.raises(NotFound):
            await read(origin, team_app(registry), Digest.of(b"nothing"))


@pytest.mark.real("registry")
async def test_an_image_comes_with_htpasswd(scratch: Path) -> None:
    image = image_of_two_layers()
    async with open_registry(scratch / "registry", auth="htpasswd") as registry:
        await push_image(image, registry.url, "team/app", "latest", headers=basic_auth())
        async with open_origin(
            [upstream_of(registry)], login(registry, HTPASSWD_USER, HTPASSWD_PASSWORD)
        ) as origin:
            await pull_and_check(origin, registry, image)
        for store in (CredentialStore(), login(registry, HTPASSWD_USER, "wrong")):
            async with open_origin([upstream_of(registry)], store) as origin:
                with pytest.raises(Unauthorized, match=registry.authority):
                    await origin.head_manifest(team_app(registry), "latest")


@pytest.mark.real("registry")
async def test_an_image_comes_with_tokens(scratch: Path) -> None:
    image = image_of_two_layers()
    with open_token_server({"swimmer": "letmein"}) as tokens:
        async with open_registry(scratch / "registry", auth=tokens) as registry:
            access = [{"type": "repository", "name": "team/app", "actions": ["pull", "push"]}]
            bearer = {"Authorization": f"Bearer {tokens.token('swimmer', access)}"}
            await push_image(image, registry.url, "team/app", "latest", headers=bearer)
            async with open_origin([upstream_of(registry)], login(registry, "swimmer", "letmein")) as origin:
                await pull_and_check(origin, registry, image)
            (asked,) = tokens.requests
            assert (asked.user, asked.service, asked.scopes) == (
                "swimmer",
                SERVICE,
                ("repository:team/app:pull",),
            )
            for store in (CredentialStore(), login(registry, "swimmer", "wrong")):
                async with open_origin([upstream_of(registry)], store) as origin:
                    with pytest.raises(Unauthorized):
                        await origin.head_manifest(team_app(registry), "latest")


@pytest.mark.real("registry")
async def test_a_public_image_comes_with_an_anonymous_token(scratch: Path) -> None:
    image = image_of_two_layers()
    with open_token_server({}, anonymous_pull=True) as tokens:
        async with open_registry(scratch / "registry", auth=tokens) as registry:
            access = [{"type": "repository", "name": "team/app", "actions": ["pull", "push"]}]
            bearer = {"Authorization": f"Bearer {tokens.token('swimmer', access)}"}
            await push_image(image, registry.url, "team/app", "latest", headers=bearer)
            async with open_origin([upstream_of(registry)]) as origin:
                await pull_and_check(origin, registry, image)


@pytest.mark.real("skopeo")
async def test_skopeo_pushes_to_the_fake_registry_and_pulls_from_it(scratch: Path) -> None:
    """The demo falls back to the fake where there is no docker-registry: a client that is not ours must get along."""
    image = image_of_two_layers()
    write_layout(image, scratch / "layout", "made")
    async with open_upstream(directory=scratch) as upstream:
        skopeo = Skopeo.in_directory(scratch / "skopeo", insecure=(upstream.host,))
        target = f"docker://{upstream.host}/team/app:latest"
        await skopeo.skopeo("copy", "--preserve-digests", f"oci:{scratch / 'layout'}:made", target)
        found = upstream.shelf.find_manifest("team/app", "latest")
        assert found is not None
        assert found[0] == str(image.manifest.digest)
        await skopeo.copy_to_directory(f"{upstream.host}/team/app:latest", scratch / "copied")
        assert (scratch / "copied/manifest.json").read_bytes() == found[1].body
