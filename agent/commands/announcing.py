"""`announce`: after a command has changed names: the cluster's records say so, and the running agent passes it on.

Without an agent the records wait in the store: the next one tells them when it starts.
"""

import time

import click
import trio

from agent.commands.agent_client import NoAgent, open_agent_client
from agent.commands.running import run_async
from agent.content.errors import AgentError
from agent.images.cluster_records import record_names
from agent.settings.settings import Settings
from agent.store.store import Store


def announce(settings: Settings, store: Store) -> None:
    """Raises DiskError. An agent that does not answer is told of, and no failure: it will know in time."""
    if _recorded(settings, store):
        tell_untold(run_async(_tell_agent, settings))


async def announced(settings: Settings, store: Store) -> str:
    """As `announce`, for who has an event loop. Why the cluster does not know yet, "" where it does. Raises
    DiskError."""
    if await trio.to_thread.run_sync(_recorded, settings, store):
        return await _tell_agent(settings)
    return ""


def tell_untold(reason: str) -> None:
    if reason:
        click.echo(f"shoal: the cluster will be told later: {reason}", err=True)


def _recorded(settings: Settings, store: Store) -> bool:
    """Whether there is something new."""
    from agent.node.identity import load_node_key  # signs, which takes a while to load

    key = load_node_key(settings.node.data_dir, settings.security.cluster)
    return bool(record_names(store, bytes(key.node), time.time()))


async def _tell_agent(settings: Settings) -> str:
    try:
        async with open_agent_client(settings.admin.socket) as agent:
            await agent.names_changed()
    except NoAgent:
        pass
    except AgentError as error:
        return str(error)
    return ""
