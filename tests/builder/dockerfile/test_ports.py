import pytest

from agent.content.errors import InputError
from builder.dockerfile.instructions import Place
from builder.dockerfile.ports import exposed_ports, port_warnings


@pytest.mark.parametrize(
    ("word", "ports"),
    [
        ("80", ["80/tcp"]),
        ("80/UDP", ["80/udp"]),
        ("80/", ["80/tcp"]),
        ("7000-7002/sctp", ["7000/sctp", "7001/sctp", "7002/sctp"]),
        ("80-80", ["80/tcp"]),
        ("8080:80", ["80/tcp"]),
        ("127.0.0.1:8080:80", ["80/tcp"]),
        ("127.0.0.1::80", ["80/tcp"]),
        ("[::1]:1-2:3-4", ["3/tcp", "4/tcp"]),
        ("::1:80:81", ["81/tcp"]),
        ("8000-9000:80", ["80/tcp"]),
    ],
)
def test_only_the_containers_side_of_a_port_counts(word: str, ports: list[str]) -> None:
    assert exposed_ports(word) == ports


@pytest.mark.parametrize(
    "word", ["", "/tcp", "80/http", "x", "65536", "-1", "80-", "90-80", "1-2:3-5", "x:80", "1.2.3:80:80", "٣"]
)
def test_what_is_no_port_is_refused(word: str) -> None:
    with pytest.raises(InputError, match="EXPOSE"):
        exposed_ports(word)


def test_a_port_is_written_in_lower_case_and_without_a_host() -> None:
    place = Place(3, 3)

    def rules(word: str) -> list[str]:
        return [warning.rule for warning in port_warnings(word, place)]

    assert [rules(word) for word in ("80", "80/tcp", "80/TCP", "8080:80", "127.0.0.1:80:80/Udp")] == [
        [],
        [],
        ["ExposeProtoCasing"],
        ["ExposeInvalidFormat"],
        ["ExposeProtoCasing", "ExposeInvalidFormat"],
    ]
