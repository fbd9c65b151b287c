"""push and copy to the real docker-registry without auth, with htpasswd and with tokens; skopeo pulls it back."""

import base64
import json
from pathlib import Path

import pytest

from tests.clients.local_images import put_image
from tests.clients.registry import HTPASSWD_PASSWORD, HTPASSWD_USER, Registry, open_registry
from tests.clients.shoal_command import ShoalCommand
from tests.clients.skopeo import Skopeo
from tests.clients.token_server import TokenServer, open_token_server
from tests.clients.zoo import zoo


def _shoal(scratch: Path) -> ShoalCommand:
    """A store with the zoo in it."""
    shoal = ShoalCommand(scratch / "data")
    for tag, image in zoo().items():
        for part in (*image.children, image):
            put_image(shoal.directory, part, f"cluster.shoal/fish:{tag if part is image else 'part'}")
    return shoal


def _login(scratch: Path, registry: Registry, user: str, password: str) -> dict[str, str]:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    file = scratch / "docker.json"
    file.write_text(json.dumps({"auths": {registry.authority: {"auth": auth}}}))
    return {"SHOAL_CREDENTIALS_DOCKER_CONFIG": str(file)}


async def _pulled_back(
    scratch: Path, registry: Registry, name: str, tag: str, credentials: str | None = None
) -> None:
    """skopeo has every document and blob, with the same digests."""
    skopeo = Skopeo.in_directory(scratch / "skopeo", insecure=(registry.authority,))
    options = ["--all", "--src-tls-verify=false", *([f"--src-creds={credentials}"] if credentials else [])]
    directory = scratch / f"back-{name.replace('/', '-')}-{tag}"
    await skopeo.copy_to_directory(f"{registry.authority}/{name}:{tag}", directory, *options)
    image = zoo()[tag]
    assert (directory / "manifest.json").read_bytes() == b"".join(image.manifest.pieces())
    for part in (image, *image.children):
        for blob in part.blobs:
            assert (directory / blob.digest.hex).stat().st_size == blob.size_bytes


@pytest.mark.real("skopeo", "registry", "busybox")
async def test_every_kind_of_image_is_pushed_and_comes_back_the_same(
    scratch: Path, registry: Registry
) -> None:
    shoal = _shoal(scratch)
    for tag, image in zoo().items():
        target = f"{registry.authority}/team/fish:{tag}"
        lines = (await shoal.shoal("push", f"fish:{tag}", target)).stdout.splitlines()
        assert lines[0] == f"The push refers to repository [{registry.authority}/team/fish]"
        size = len(b"".join(image.manifest.pieces()))
        assert lines[-1] == f"{tag}: digest: {image.manifest.digest} size: {size}"
        await _pulled_back(scratch, registry, "team/fish", tag)


@pytest.mark.real("skopeo", "registry", "busybox")
async def test_what_another_repository_has_is_mounted(scratch: Path, registry: Registry) -> None:
    shoal = _shoal(scratch)
    first = f"{registry.authority}/team/first:docker"
    environment = {"SHOAL_UPSTREAMS": f"{registry.authority}={registry.url}"}
    shoal = ShoalCommand(shoal.directory, environment)
    await shoal.shoal("tag", "fish:docker", first)
    await shoal.shoal("push", first)
    told = json.loads(
        (await shoal.shoal("push", "--json", first, f"{registry.authority}/team/second:docker")).stdout
    )
    assert {blob["state"] for blob in told["blobs"]} == {"mounted"}
    assert told["sent_bytes"] == 0
    await _pulled_back(scratch, registry, "team/second", "docker")


@pytest.mark.real("skopeo", "registry", "busybox")
@pytest.mark.parametrize("auth", ["htpasswd", "token"])
async def test_an_image_is_pushed_and_copied_with_credentials(scratch: Path, auth: str) -> None:
    with open_token_server({HTPASSWD_USER: HTPASSWD_PASSWORD}) as tokens:
        chosen: str | TokenServer = tokens if auth == "token" else auth
        async with open_registry(scratch / "registry", auth=chosen) as registry:
            plain = _shoal(scratch)
            environment = _login(scratch, registry, HTPASSWD_USER, HTPASSWD_PASSWORD)
            shoal = ShoalCommand(plain.directory, environment)
            target = f"{registry.authority}/team/fish:index"
            refused = await plain.shoal("push", "fish:index", target, check=False)
            assert (refused.exit_code, refused.stderr.count("\n")) == (4, 1)
            await shoal.shoal("push", "fish:index", target)
            credentials = f"{HTPASSWD_USER}:{HTPASSWD_PASSWORD}"
            await _pulled_back(scratch, registry, "team/fish", "index", credentials)
            copied = await shoal.shoal(
                "copy", "store:fish:oci", f"docker://{registry.authority}/team/copied:oci"
            )
            assert copied.stdout.strip() == str(zoo()["oci"].manifest.digest)
            await _pulled_back(scratch, registry, "team/copied", "oci", credentials)
            _login(scratch, registry, HTPASSWD_USER, "wrong-word")
            wrong = await shoal.shoal("push", "fish:docker", target, check=False)
            assert wrong.exit_code == 4
            assert "wrong-word" not in wrong.stdout + wrong.stderr
