"""`YoungTracker`: may a tracker that does not know a name hear of it in a moment?

It keeps names in memory. After a restart the nodes tell it again, each as soon as it notices; until then "not known"
means nothing. A tracker that is younger than this node, or than the records that this node has, was there before.
"""

import trio

SETTLING_SECONDS = 8.0  # nodes that were told to retry by and by call within this
ASK_AGAIN_SECONDS = 0.5


class YoungTracker:
    def __init__(self, *, has_records: bool) -> None:
        self._has_records = has_records
        self._born = trio.current_time()

    def may_hear(self, tracker_seconds: float) -> bool:
        """`tracker_seconds`: for how long it has been running, as it says."""
        is_another = trio.current_time() - tracker_seconds > self._born
        return (is_another or self._has_records) and tracker_seconds < SETTLING_SECONDS
