"""From a parsed file, an environment and flags to settings, or to every mistake at once."""

import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields as dataclass_fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.errors import InputError
from agent.settings.address import TcpAddress, UnixAddress
from agent.settings.field import FILE_VARIABLE, Machine
from agent.settings.fields import FIELDS, LISTS, rows
from agent.settings.layers import KUBERNETES_SERVICE
from agent.settings.mistake import Mistake, SettingsError
from agent.settings.parser import ELEMENT_TYPES, SECTION_TYPES, parse_settings
from agent.settings.settings import Settings, TagRule

MACHINE = Machine(host_name="tuna", is_root=False, home=Path("/home/ada"))


def settings(
    toml: str = "",
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    *,
    is_root: bool = False,
) -> Settings:
    machine = Machine(MACHINE.host_name, is_root, MACHINE.home)
    return parse_settings(tomllib.loads(toml), environ or {}, flags or {}, machine, "shoal.toml")


def mistakes(
    toml: str = "", environ: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None
) -> list[Mistake]:
    with pytest.raises(SettingsError) as caught:
        settings(toml, environ, flags)
    for mistake in caught.value.mistakes:
        assert str(mistake) in str(caught.value)
    return list(caught.value.mistakes)


def only_mistake(
    toml: str = "", environ: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None
) -> Mistake:
    [mistake] = mistakes(toml, environ, flags)
    return mistake


def test_the_table_and_the_dataclasses_have_the_same_keys() -> None:
    for section, section_type in SECTION_TYPES.items():
        keys = [row.key for row in FIELDS if row.section == section]
        assert keys == [f.name for f in dataclass_fields(section_type)], section
    for row in LISTS:
        assert [f.key for f in row.fields] == [f.name for f in dataclass_fields(ELEMENT_TYPES[row.key])]
    assert [f.name for f in dataclass_fields(Settings)] == [
        *SECTION_TYPES,
        *(row.key for row in LISTS),
        "sources",
    ]


def test_no_name_is_taken_for_another_or_for_one_that_kubernetes_sets() -> None:
    names = [row.environment for row in rows()]
    assert len({*names, FILE_VARIABLE}) == len(names) + 1
    assert len({row.flag for row in rows()}) == len(rows())
    assert not [name for name in names if KUBERNETES_SERVICE.fullmatch(name)]


def test_without_anything_given_the_defaults_hold() -> None:
    found = settings()
    assert found.node.name == "tuna"
    assert found.node.data_dir == Path("/home/ada/.local/share/shoal")
    assert found.admin.socket == Path("/home/ada/.local/share/shoal/shoal.sock")
    assert found.proxy.listen == TcpAddress("127.0.0.1", 5050)
    assert found.peer.advertise == found.peer.listen == TcpAddress("127.0.0.1", 5051)
    assert (found.peer.upload_rate, found.peer.in_flight_bytes) == (None, 64 * 2**20)
    assert (found.store.quota, found.store.floor_free, found.store.linger) == (None, 10**9, 30.0)
    assert found.upstreams[0].url == "https://registry-1.docker.io"
    assert found.upstreams[1].url == "https://quay.io"
    assert found.tags == (TagRule("*", 60.0, True),)
    assert set(found.sources.values()) == {"default"}


def test_root_keeps_its_data_under_var_lib() -> None:
    assert settings(is_root=True).node.data_dir == Path("/var/lib/shoal")


def test_flags_win_over_the_environment_over_the_file_over_defaults() -> None:
    toml = '[log]\nlevel = "debug"\nformat = "json"\n[node]\nzone = "file"'
    environ = {"SHOAL_LOG_LEVEL": "warning", "SHOAL_NODE_ZONE": "environment"}
    found = settings(toml, environ, {"log.level": "error"})
    assert (found.log.level, found.node.zone, found.log.format, found.node.rack) == (
        "error",
        "environment",
        "json",
        "",
    )
    assert found.sources["log.level"] == "flag --log-level"
    assert found.sources["node.zone"] == "environment SHOAL_NODE_ZONE"
    assert found.sources["log.format"] == "shoal.toml: log.format"
    assert found.sources["node.rack"] == "default"


def test_every_kind_of_value_is_read_from_a_file() -> None:
    found = settings(
        """
        [node]
        data_dir = "~/shoal"
        [proxy]
        listen = "unix:/run/shoal/proxy.sock"
        [peer]
        upload_rate = "50mbit"
        download_rate = 4096
        upload_slots = 4
        [store]
        quota = "10GB"
        floor_free = 1024
        linger = "500ms"
        [credentials]
        docker_config = ["/etc/docker.json", "~/auth.json"]
        [security]
        cluster = "reef"
        insecure_cluster = true
        [[tags]]
        pattern = "docker.io/library/*:*"
        max_age = "5m"
        stale_if_error = false
        [[upstreams]]
        registry = "Quay.io"
        ca_file = "/etc/ca.pem"
        [[upstreams]]
        registry = "localhost:5000"
        url = "http://localhost:5000/"
        allow_private_redirects = true
        """
    )
    assert found.node.data_dir == Path("/home/ada/shoal")
    assert found.proxy.listen == UnixAddress(Path("/run/shoal/proxy.sock"))
    assert (found.peer.upload_rate, found.peer.download_rate, found.peer.upload_slots) == (6_250_000, 4096, 4)
    assert (found.store.quota, found.store.floor_free, found.store.linger) == (10**10, 1024, 0.5)
    assert found.credentials.docker_config == (Path("/etc/docker.json"), Path("/home/ada/auth.json"))
    assert (found.security.cluster, found.security.insecure_cluster) == ("reef", True)
    assert found.tags == (TagRule("docker.io/library/*:*", 300.0, False), TagRule("*", 60.0, True))
    assert [(u.registry, u.url, u.allow_private_redirects) for u in found.upstreams] == [
        ("quay.io", "https://quay.io", False),
        ("localhost:5000", "http://localhost:5000", True),
    ]
    assert found.upstreams[0].ca_file == Path("/etc/ca.pem")
    assert found.proxy.default_upstream == "quay.io"


def test_lists_have_a_form_of_one_line_for_environment_and_flags() -> None:
    environ = {
        "SHOAL_UPSTREAMS": "docker.io=http://127.0.0.1:5000, quay.io",
        "SHOAL_TAGS": "*:latest=0s,*=1h",
    }
    found = settings("", environ, {"credentials.docker_config": "/a.json,/b.json"})
    assert [(u.registry, u.url) for u in found.upstreams] == [
        ("docker.io", "http://127.0.0.1:5000"),
        ("quay.io", "https://quay.io"),
    ]
    assert [(rule.pattern, rule.max_age) for rule in found.tags] == [("*:latest", 0.0), ("*", 3600.0)]
    assert found.credentials.docker_config == (Path("/a.json"), Path("/b.json"))


def test_none_takes_back_what_a_weaker_place_gave() -> None:
    found = settings('[store]\nquota = "1GB"', {"SHOAL_STORE_QUOTA": "none"})
    assert found.store.quota is None
    assert settings('[store]\nquota = "1GB"', {"SHOAL_STORE_QUOTA": ""}).store.quota is None


def test_the_first_pattern_that_matches_a_tag_decides() -> None:
    found = settings("", {}, {"tags": "docker.io/library/*:*=5m,*:v[0-9]*=1d"})
    assert found.tag_rule_for("docker.io/library/alpine:v3").max_age == 300
    assert found.tag_rule_for("quay.io/team/app/web:v3").max_age == 86_400
    assert found.tag_rule_for("quay.io/team/app/web:main").max_age == 60


def test_all_mistakes_of_all_places_are_reported_at_once() -> None:
    found = mistakes(
        '[store]\nquota = "ten"\nlinger = 30\n[peer]\nupload_slots = 0',
        {"SHOAL_LOG_LEVEL": "loud", "SHOAL_PROXY_LISTEN": "5050"},
        {"peer.upload_rate": "10MB", "tags": "*=soon"},
    )
    assert [(m.key, m.source) for m in found] == [
        ("store.quota", "shoal.toml: store.quota"),
        ("store.linger", "shoal.toml: store.linger"),
        ("peer.upload_slots", "shoal.toml: peer.upload_slots"),
        ("log.level", "environment SHOAL_LOG_LEVEL"),
        ("proxy.listen", "environment SHOAL_PROXY_LISTEN"),
        ("peer.upload_rate", "flag --peer-upload-rate"),
        ("tags", "flag --tags"),
    ]
    assert all(m.remedy.startswith("expected ") for m in found)


def test_a_settings_error_is_an_input_error_that_counts() -> None:
    with pytest.raises(InputError, match="2 mistakes in the configuration:\n  log"):
        settings("", {}, {"log.level": "x", "log.format": "y"})


@pytest.mark.parametrize(
    ("toml", "remedy"),
    [
        ('[proxy]\nlisen = "127.0.0.1:1"', "did you mean listen?"),
        ('[prxy]\nlisten = "127.0.0.1:1"', "did you mean proxy?"),
        ('listen = "127.0.0.1:1"', "did you mean peer.listen or proxy.listen or tracker.listen?"),
        ('[node]\nquota = "1GB"', "did you mean store.quota?"),
        ('[[tags]]\npatern = "*"', "did you mean pattern?"),
        ("[log]\nzzz = 1", "known are level, format"),
    ],
)
def test_an_unknown_key_is_told_the_nearest_known_one(toml: str, remedy: str) -> None:
    assert only_mistake(toml).remedy == remedy


def test_an_unknown_variable_and_flag_are_told_the_nearest_known_one() -> None:
    assert only_mistake(environ={"SHOAL_PROXY_LITSEN": "x"}).remedy == "did you mean SHOAL_PROXY_LISTEN?"
    assert only_mistake(flags={"proxy.listn": "x"}).remedy == "did you mean proxy.listen?"


def test_variables_of_kubernetes_services_and_of_others_are_left_alone() -> None:
    environ = {
        "SHOAL_TRACKER_SERVICE_HOST": "10.0.0.1",
        "SHOAL_TRACKER_SERVICE_PORT_HTTP": "5052",
        "SHOAL_TRACKER_PORT": "tcp://10.0.0.1:5052",
        "SHOAL_TRACKER_PORT_5052_TCP_ADDR": "10.0.0.1",
        FILE_VARIABLE: "/x",
        "PATH": "/bin",
        "SHOALS": "1",
    }
    assert settings("", environ) == settings()


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("proxy = 1", "a number does not fit"),
        ("[proxy]\nlisten = 5050", "a number does not fit"),
        ("[proxy]\nlisten = true", "a boolean does not fit"),
        ("[store]\nquota = 1.5", "a number with a fraction does not fit"),
        ("[store]\nquota = true", "a boolean does not fit"),
        ("[store]\nlinger = 2026-01-01", "a date or time does not fit"),
        ('[peer]\nupload_slots = "2"', "a text does not fit"),
        ('[security]\ninsecure_cluster = "true"', "a text does not fit"),
        ("[credentials]\ndocker_config = [1]", "every element must be a text"),
        ('tags = "x"', "a text does not fit"),
        ("upstreams = [1]", "a list does not fit"),
        ("[upstreams]", "a table does not fit"),
        ("[[upstreams]]", "registry is missing"),
    ],
)
def test_a_wrong_type_is_named(toml: str, problem: str) -> None:
    assert problem in only_mistake(toml).problem


def test_a_mistake_in_a_list_names_its_element() -> None:
    [mistake] = mistakes(
        '[[upstreams]]\nregistry = "quay.io"\n[[upstreams]]\nregistry = "a"\nurl = "ftp://a"'
    )
    assert (mistake.key, mistake.source) == ("upstreams[2].url", "shoal.toml: upstreams[2].url")


def test_a_password_in_a_mistaken_url_is_not_repeated() -> None:
    found = mistakes(
        "", {"SHOAL_TRACKER_URL": "http://ada:hunter2@tracker:1"}, {"upstreams": "a=https://x:hunter2@a"}
    )
    assert "hunter2" not in str(SettingsError(found))
    assert len(found) == 2


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from([row.key for row in rows()] + [row.path for row in rows()]) | st.text(max_size=8)
SECTIONS = st.sampled_from([*SECTION_TYPES, "tags", "upstreams"]) | st.text(max_size=8)
TEXTS = st.text(max_size=12) | st.sampled_from(
    ["none", "", "0.0.0.0:1", "unix:/x", "a=b=c,,d", "1GB", "true"]
)


@given(
    st.dictionaries(SECTIONS, st.dictionaries(KEYS, JSON_LIKE, max_size=4) | JSON_LIKE, max_size=4),
    st.dictionaries(st.sampled_from([row.environment for row in rows()]), TEXTS, max_size=4),
    st.dictionaries(KEYS, TEXTS, max_size=4),
)
def test_any_configuration_gives_settings_or_mistakes(
    document: dict[str, object], environ: dict[str, str], flags: dict[str, str]
) -> None:
    with suppress(SettingsError):
        found = parse_settings(document, environ, flags, MACHINE)
        assert found.tag_rule_for("docker.io/library/alpine:latest") in found.tags


PUSH_THROUGH = "team=registry.example/mirror/team,team/app/deep=quay.io,*=docker.io/me"


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("team", "registry.example/mirror/team"),
        ("team/app", "registry.example/mirror/team/app"),
        ("team/app/deep", "quay.io/team/app/deep"),
        ("team/app/deep/er", "quay.io/team/app/deep/er"),
        ("teams/app", "docker.io/me/teams/app"),
    ],
)
def test_a_push_goes_on_where_the_longest_prefix_says(name: str, target: str) -> None:
    assert str(settings("", {}, {"push_through": PUSH_THROUGH}).push_target_of(name)) == target


def test_a_push_goes_nowhere_else_unless_told() -> None:
    assert settings().push_target_of("team/app") is None
    assert settings("", {}, {"push_through": "team=quay.io"}).push_target_of("teams") is None


@pytest.mark.parametrize(
    "text", ["team", "team=", "Team=quay.io", "team=quay.io/UPPER", "team=cluster.shoal", "a=x.io,a=y.io"]
)
def test_a_mistaken_push_through_is_told(text: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings("", {}, {"push_through": text})
    [mistake] = raised.value.mistakes
    assert mistake.key == "push_through"
