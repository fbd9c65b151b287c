"""Credentials from each file format, from helper programs, from the environment; what is broken costs only itself."""

import base64
import json
import os
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from agent.content.errors import InputError
from agent.content.reference import Repository
from agent.origin.credential import Credential
from agent.origin.credential_files import CredentialFile, keys_of, normal_key
from agent.origin.credential_helpers import HelperFailed, HelperRunner
from agent.origin.credentials import CredentialStore, usual_files

APP = Repository.of("registry.test:5000", "team/app")
HUB = Repository.of("docker.io", "alpine")
ANN = Credential("ann", "pw:with:colons")


def encoded(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def auths(**entries: object) -> str:
    return json.dumps({"auths": entries})


@pytest.mark.parametrize(
    "key",
    [
        "registry.test:5000",
        "https://registry.test:5000",
        "https://registry.test:5000/v2/",
        "http://registry.test:5000/v1/",
    ],
)
def test_an_entry_of_docker_s_file_is_found_however_its_key_is_spelled(key: str) -> None:
    text = json.dumps({"auths": {key: {"auth": encoded("ann", "pw:with:colons")}}})
    assert CredentialFile.parse(text).find(APP) == ANN


@pytest.mark.parametrize(
    "key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io/v1/", "registry-1.docker.io"]
)
def test_docker_hub_s_entry_is_found_under_each_of_its_names(key: str) -> None:
    text = json.dumps({"auths": {key: {"auth": encoded("ann", "pw:with:colons")}}})
    assert CredentialFile.parse(text).find(HUB) == ANN


def test_each_form_of_an_entry_is_read() -> None:
    forms = {
        json.dumps({"username": "ann", "password": "pw"}): Credential("ann", "pw"),
        json.dumps({"auth": encoded("ann", "pw"), "email": "a@b"}): Credential("ann", "pw"),
        json.dumps({"auth": encoded("ann", ""), "identitytoken": "it"}): Credential("ann", "", "it"),
        json.dumps({"identitytoken": "it"}): Credential(identity_token="it"),
        json.dumps({"registrytoken": "rt"}): Credential(registry_token="rt"),
    }
    for form, credential in forms.items():
        assert CredentialFile.parse(auths(**{"registry.test:5000": json.loads(form)})).find(APP) == credential


def test_the_most_specific_namespace_wins() -> None:
    def entry(user: str) -> dict[str, str]:
        return {"auth": encoded(user, "pw")}

    file = CredentialFile.parse(
        json.dumps(
            {
                "auths": {
                    "registry.test:5000": entry("all"),
                    "registry.test:5000/team": entry("team"),
                    "registry.test:5000/team/app": entry("app"),
                    "registry.test:5000/tea": entry("prefix"),
                }
            }
        )
    )
    users = {
        name: file.find(Repository.of("registry.test:5000", name))
        for name in ("team/app", "team/x", "tea2/x", "x")
    }
    assert {name: credential and credential.username for name, credential in users.items()} == {
        "team/app": "app",
        "team/x": "team",
        "tea2/x": "all",
        "x": "all",
    }
    assert file.find(Repository.of("other.test", "team/app")) is None


def test_keys_go_from_the_repository_to_the_registry() -> None:
    assert keys_of(APP) == ["registry.test:5000/team/app", "registry.test:5000/team", "registry.test:5000"]
    assert normal_key("https://index.docker.io/v1/") == "docker.io"
    assert normal_key("quay.io/team/") == "quay.io/team"


def test_a_broken_entry_costs_only_itself() -> None:
    text = json.dumps(
        {
            "auths": {
                "a.test": {"auth": "%%%"},
                "b.test": 5,
                "c.test": None,
                "registry.test:5000": {"auth": encoded("ann", "x")},
            }
        }
    )
    file = CredentialFile.parse(text)
    assert file.find(APP) == Credential("ann", "x")
    assert file.find(Repository.of("a.test", "x")) is None


@given(
    st.one_of(
        st.text(),
        st.recursive(st.none() | st.text(), lambda x: st.dictionaries(st.text(), x)).map(json.dumps),
    )
)
def test_no_file_makes_the_parser_fail_otherwise(text: str) -> None:
    for wrapped in (text, '{"auths": ' + text + "}", '{"auths": {"registry.test:5000": ' + text + "}}"):
        try:
            CredentialFile.parse(wrapped).find(APP)
        except InputError:
            continue


def test_a_credential_does_not_show_its_secrets() -> None:
    text = repr(Credential("ann", "hidden1", "hidden2", "hidden3"))
    assert "ann" in text
    assert "hidden" not in text


async def test_files_are_read_again_when_they_change(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    store = CredentialStore([path])
    assert await store.find(APP) is None
    path.write_text(auths(**{"registry.test:5000": {"auth": encoded("ann", "pw")}}))
    assert await store.find(APP) == Credential("ann", "pw")
    path.write_text(auths(**{"registry.test:5000": {"auth": encoded("bob", "other")}}))
    assert await store.find(APP) == Credential("bob", "other")
    path.unlink()
    assert await store.find(APP) is None


async def test_a_broken_file_is_logged_without_its_content_and_the_next_one_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken, good = tmp_path / "broken.json", tmp_path / "good.json"
    broken.write_text('{"auths": "hush')
    good.write_text(auths(**{"registry.test:5000": {"auth": encoded("ann", "pw")}}))
    store = CredentialStore([broken, good], inline="also broken hush")
    assert await store.find(APP) == Credential("ann", "pw")
    await store.find(APP)
    warnings = [record for record in caplog.records if "file is ignored" in record.getMessage()]
    assert len(warnings) == 1, "once a change, not once a request"
    assert "hush" not in str([vars(record) for record in caplog.records])


def test_files_are_looked_for_where_podman_and_docker_keep_them() -> None:
    places = [str(path) for path in usual_files({"HOME": "/home/ann", "XDG_RUNTIME_DIR": "/run/user/7"}, 7)]
    assert places == [
        "/run/user/7/containers/auth.json",
        "/home/ann/.config/containers/auth.json",
        "/home/ann/.docker/config.json",
    ]
    places = [
        str(path)
        for path in usual_files({"REGISTRY_AUTH_FILE": "/a", "DOCKER_CONFIG": "/d", "HOME": "/root"}, 0)
    ]
    assert places == [
        "/a",
        "/run/containers/0/auth.json",
        "/root/.config/containers/auth.json",
        "/d/config.json",
    ]


async def test_docker_auth_config_of_the_environment_comes_first(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(auths(**{"registry.test:5000": {"auth": encoded("file", "pw")}}))
    environment = {"DOCKER_CONFIG": str(tmp_path), "HOME": str(tmp_path)}
    assert await CredentialStore.of_machine(environment=environment).find(APP) == Credential("file", "pw")
    environment["DOCKER_AUTH_CONFIG"] = auths(**{"registry.test:5000": {"auth": encoded("inline", "pw")}})
    assert await CredentialStore.of_machine(environment=environment).find(APP) == Credential("inline", "pw")


# --- helpers -------------------------------------------------------------------------------------------


def install_helper(directory: Path, name: str, script: str) -> HelperRunner:
    path = directory / f"docker-credential-{name}"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return HelperRunner(f"{directory}{os.pathsep}{os.environ['PATH']}", deadline_seconds=5)


ANSWERS = """read key
echo "$1 $key" >> "$(dirname "$0")/asked"
case "$key" in
  registry.test:5000) echo '{"ServerURL":"x","Username":"ann","Secret":"from-helper"}';;
  https://index.docker.io/v1/) echo '{"ServerURL":"x","Username":"<token>","Secret":"identity"}';;
  *) echo 'credentials not found in native keychain'; exit 1;;
esac
"""


async def test_a_helper_answers_for_its_registry_before_the_file_s_default_one(tmp_path: Path) -> None:
    runner = install_helper(tmp_path, "own", ANSWERS)
    install_helper(tmp_path, "default", "exit 3")
    text = json.dumps(
        {
            "credsStore": "default",
            "credHelpers": {"registry.test:5000": "own", "https://index.docker.io/v1/": "own"},
        }
    )
    store = CredentialStore(inline=text, helpers=runner)
    assert await store.find(APP) == Credential("ann", "from-helper")
    assert await store.find(HUB) == Credential(identity_token="identity")
    assert await store.find(Repository.of("other.test", "x")) is None


async def test_a_helper_is_asked_once_whoever_waits_and_anew_after_a_refusal(tmp_path: Path) -> None:
    runner = install_helper(tmp_path, "own", ANSWERS)
    store = CredentialStore(inline='{"credsStore": "own"}', helpers=runner)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(store.find, APP)
    assert (tmp_path / "asked").read_text() == "get registry.test:5000\n"
    store.forget_answers(APP.registry)
    await store.find(APP)
    assert (tmp_path / "asked").read_text().count("get") == 2


async def test_a_helper_that_has_nothing_leaves_it_to_the_file(tmp_path: Path) -> None:
    runner = install_helper(tmp_path, "own", ANSWERS)
    text = json.dumps({"credsStore": "own", "auths": {"other.test": {"auth": encoded("ann", "pw")}}})
    store = CredentialStore(inline=text, helpers=runner)
    assert await store.find(Repository.of("other.test", "x")) == Credential("ann", "pw")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ('echo \'{"Secret": "hush"\'; echo hush >&2', "no usable answer"),
        ("echo '{\"Secret\": 5}'", "no usable answer"),
        ("echo hush; exit 9", "exit code 9"),
    ],
)
async def test_a_broken_helper_is_an_error_that_quotes_nothing(
    tmp_path: Path, script: str, reason: str
) -> None:
    runner = install_helper(tmp_path, "broken", script)
    with pytest.raises(HelperFailed, match=reason) as caught:
        await runner.ask("broken", "registry.test")
    assert "hush" not in str(caught.value)


async def test_a_helper_that_hangs_has_a_deadline(tmp_path: Path) -> None:
    install_helper(tmp_path, "slow", "exec sleep 60")
    runner = HelperRunner(f"{tmp_path}{os.pathsep}{os.environ['PATH']}", deadline_seconds=0.2)
    with pytest.raises(HelperFailed, match="did not answer"):
        await runner.ask("slow", "registry.test")


@pytest.mark.parametrize("name", ["../evil", "a/b", "", "-x", "a b", "a;b", "x" * 100])
async def test_a_helper_s_name_is_never_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(HelperFailed, match="invalid credential helper name"):
        await HelperRunner(str(tmp_path)).ask(name, "registry.test")


async def test_a_helper_that_is_not_installed_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(HelperFailed, match="docker-credential-gone is not installed"):
        await HelperRunner(str(tmp_path)).ask("gone", "registry.test")
