"""Rules across keys."""

import pytest

from tests.agent.settings.test_parser import mistakes, only_mistake, settings

PUBLIC = {"peer.listen": "10.0.0.7:5051"}


@pytest.mark.parametrize(
    "flags",
    [
        {"proxy.listen": "0.0.0.0:5050"},
        {"peer.listen": "10.0.0.7:5051"},
        {"tracker.listen": "[::]:5052"},
        {"admin.metrics_listen": "node.example:9000"},
    ],
)
def test_listening_beyond_loopback_has_to_be_allowed(flags: dict[str, str]) -> None:
    mistake = only_mistake(flags=flags)
    assert [mistake.key] == list(flags)
    assert "nothing there is encrypted" in mistake.problem
    assert "security.insecure_cluster = true" in mistake.remedy
    settings(flags=flags | {"security.insecure_cluster": "true"})


def test_a_unix_socket_needs_no_allowance() -> None:
    settings(
        flags={
            "proxy.listen": "unix:/run/a",
            "tracker.listen": "unix:/run/b",
            "admin.metrics_listen": "[::1]:1",
        }
    )


def test_a_mistake_draws_no_others_after_it() -> None:
    [mistake] = mistakes(flags={"proxy.listen": "0.0.0.0:5050", "security.insecure_cluster": "maybe"})
    assert mistake.key == "security.insecure_cluster"


def test_a_wildcard_needs_an_address_to_advertise() -> None:
    flags = {"peer.listen": "0.0.0.0:5051", "security.insecure_cluster": "true"}
    mistake = only_mistake(flags=flags)
    assert (mistake.key, "10.0.0.7:5051" in mistake.remedy) == ("peer.advertise", True)
    settings(flags=flags | {"peer.advertise": "node.example:5051"})


@pytest.mark.parametrize("address", ["[::]:1", "10.0.0.7:0"])
def test_what_others_cannot_call_is_not_advertised(address: str) -> None:
    assert only_mistake(flags={"peer.advertise": address}).key == "peer.advertise"


def test_any_free_port_to_listen_on_is_advertised_once_it_is_known() -> None:
    assert settings(flags={"peer.listen": "127.0.0.1:0"}).peer.advertise.port == 0


def test_a_remote_tracker_is_not_told_a_loopback_address() -> None:
    assert only_mistake(flags={"tracker.url": "http://10.0.0.1:5052"}).key == "peer.advertise"
    settings(flags={"tracker.url": "http://10.0.0.1:5052", "security.insecure_cluster": "true"} | PUBLIC)
    settings(flags={"tracker.url": "http://[::1]:5052"})


@pytest.mark.parametrize("address", ["127.0.0.1:5051", "0.0.0.0:5051"])
def test_two_listeners_do_not_share_a_port(address: str) -> None:
    mistake = only_mistake(flags={"proxy.listen": address, "security.insecure_cluster": "true"})
    assert (mistake.key, "proxy.listen" in mistake.problem) == ("peer.listen", True)


def test_any_number_of_listeners_may_ask_for_a_free_port() -> None:
    settings(
        flags={"proxy.listen": "127.0.0.1:0", "peer.listen": "127.0.0.1:0", "tracker.listen": "127.0.0.1:0"}
    )


def test_the_default_upstream_is_one_of_the_upstreams() -> None:
    mistake = only_mistake(flags={"upstreams": "quay.io,ghcr.io", "proxy.default_upstream": "docker.io"})
    assert mistake.key == "proxy.default_upstream"
    assert "quay.io, ghcr.io" in mistake.remedy


def test_an_upstream_stands_once_and_one_stands_at_least() -> None:
    assert "2 times" in only_mistake(flags={"upstreams": "quay.io,docker.io,Quay.io"}).problem
    assert only_mistake(flags={"upstreams": ","}).key == "upstreams"


@pytest.mark.parametrize("tags", ["*=1m,docker.io/*=5m", "a:*=1m,a:*=2m"])
def test_a_tag_pattern_that_never_decides_is_a_mistake(tags: str) -> None:
    assert "never decides" in only_mistake(flags={"tags": tags}).problem


def test_a_data_directory_too_deep_for_a_socket_is_a_mistake() -> None:
    deep = "/" + "d" * 120
    assert only_mistake(flags={"node.data_dir": deep}).key == "admin.socket"
    settings(flags={"node.data_dir": deep, "admin.socket": "/run/shoal.sock"})
