"""`publish_layout`: the store's index.json follows what is named, a moment behind where there are many images."""

import trio

from agent.content.errors import DiskError
from agent.node.hop import Hop
from agent.store.store import Store
from agent.telemetry.logs import get_log

_LOOK_SECONDS = 1.0

_log = get_log("shoal.node")


async def publish_layout(store: Store, hop: Hop) -> None:
    """Until cancelled."""
    while True:
        await trio.sleep(_LOOK_SECONDS)
        if store.is_layout_behind:
            try:
                await hop(store.publish_layout)
            except DiskError as error:
                _log.warning("index.json is behind", reason=str(error))
