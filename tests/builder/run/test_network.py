"""Isolated networks of real containers: what is reached from them, and that nothing of them stays on the machine."""

import pytest

from tests.builder.run import network_world
from tests.builder.run.small_root import Sandbox

pytestmark = pytest.mark.real("runc", "busybox", "namespaces", "iptables")


def test_a_container_reaches_a_far_host_although_nothing_is_forwarded_by_default(sandbox: Sandbox) -> None:
    network_world.in_a_world(network_world.reaches_far, sandbox)


def test_containers_side_by_side_have_addresses_of_their_own(sandbox: Sandbox) -> None:
    network_world.in_a_world(network_world.two_at_a_time, sandbox)


def test_what_a_killed_build_left_is_ended_and_taken_away(sandbox: Sandbox) -> None:
    network_world.in_a_world(network_world.is_killed, sandbox)


def test_nothing_is_left_whenever_a_run_is_cancelled(sandbox: Sandbox) -> None:
    network_world.in_a_world(network_world.cancelled_at_any_time, sandbox)


@pytest.mark.real("crun")
def test_crun_does_the_same(sandbox: Sandbox) -> None:
    network_world.in_a_world(network_world.with_crun, sandbox)


def test_nothing_is_left_whenever_a_build_is_killed(sandbox: Sandbox) -> None:
    network_world.in_a_world(network_world.killed_at_any_time, sandbox)


@pytest.mark.real("nft")
def test_where_there_is_no_iptables_nft_does(sandbox: Sandbox) -> None:
    network_world.in_a_world(network_world.with_nft, sandbox)
