"""What a container is told of name servers and hosts."""

from builder.run.name_resolution import hosts_file, ipv4_servers, isolated_resolver

STUB = "# by systemd\nnameserver 127.0.0.53\noptions edns0\nsearch lan\n"


def test_servers_within_reach_stay_with_everything_else() -> None:
    text = "search lan\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver 127.0.0.1\noptions ndots:2\n"
    assert isolated_resolver([text]) == "search lan\nnameserver 10.0.0.1\noptions ndots:2\n"


def test_behind_a_stub_on_loopback_the_real_servers_are_used() -> None:
    assert isolated_resolver([STUB, "nameserver 192.0.2.1\n"]) == "nameserver 192.0.2.1\n"


def test_where_none_is_within_reach_public_ones_are_asked() -> None:
    expected = "# by systemd\noptions edns0\nsearch lan\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n"
    assert isolated_resolver([STUB, "nameserver ::1\n"]) == expected
    assert isolated_resolver([]) == "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"


def test_lines_that_are_none_name_no_server() -> None:
    assert ipv4_servers("nameserver\nnameserver x\n\n;nameserver 1.2.3.4\nnameserver 1.2.3.4 x\n") != []
    assert [str(server) for server in ipv4_servers("nameserver\n nameserver 1.2.3.4\n")] == ["1.2.3.4"]


def test_hosts_are_appended() -> None:
    text = hosts_file("box", [("db", "10.0.0.2"), ("six", "fd00::1"), ("here", "host-gateway")], "10.213.0.1")
    assert text.startswith("127.0.0.1\tlocalhost box\n::1\tlocalhost")
    assert text.endswith("10.0.0.2\tdb\nfd00::1\tsix\n10.213.0.1\there\n")
