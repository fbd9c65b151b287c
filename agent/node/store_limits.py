"""`store_limits`: what the configuration allows a node's store to take, for the daemon and for commands beside it."""

from agent.settings.settings import Settings
from agent.store.usage import StoreLimits

# With a quota, a tag that nobody has asked for in so long no longer keeps its image from eviction: a mirror would fill
# up with tags, and then refuse every pull.
_TAGS_HOLD_SECONDS = 3600.0


def store_limits(settings: Settings) -> StoreLimits:
    quota = settings.store.quota
    hold_seconds = None if quota is None else _TAGS_HOLD_SECONDS
    return StoreLimits(quota, settings.store.floor_free, hold_seconds, settings.push.upload_expiry)
