"""kill -9 of an agent, again and again, while many clients push and pull: what was acknowledged is there, and whole."""

import pytest

from tests.clients.push_storm import Storm, rage
from tests.clients.scratch import open_scratch


# Where a server dies in the middle httpx leaves what it was sending to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.real("curl")  # real processes; of the components, none but the smallest
async def test_no_acknowledged_push_is_lost_however_often_the_agent_is_killed() -> None:
    with open_scratch() as scratch:
        pushed = await rage(scratch, Storm(clients=40, seconds=10.0, life_seconds=1.0))
    print(pushed)
    assert pushed.images > 20
    assert pushed.failures
    assert pushed.pulls
