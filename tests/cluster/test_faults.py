"""Each fault of the benchmark once, small: whatever happens, the surviving nodes end whole."""

import pytest

from tests.bench.fault import FAULTS, Fault
from tests.bench.faults import measure_fault
from tests.bench.scenario import MB, Scenario

pytestmark = pytest.mark.real("namespaces", "registry", "nginx")

SMALL = Scenario(5, 8 * MB, 2, node_mbit=20, registry_mbit=40)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_surviving_nodes_end_whole(fault: Fault) -> None:
    """(measure_fault looks at every blob of every node.)"""
    row = await measure_fault(fault, SMALL, None)
    print(row.line())
    assert row.surviving >= SMALL.nodes - 1
