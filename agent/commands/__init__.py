"""The node's commands: pull, images, status, config. What runs several services together is in shoal.py."""

from agent.commands.lazy_group import LazyCommand

COMMANDS: dict[str, LazyCommand] = {
    "pull": LazyCommand("agent.commands.pull:pull", "Pull an image into this node's store."),
    "images": LazyCommand("agent.commands.images:images", "List the images in this node's store."),
    "status": LazyCommand(
        "agent.commands.status:status",
        "Show what the agent on this machine does: tracker, peers, swarms, downloads, rates, store.",
    ),
    "config": LazyCommand(
        "agent.commands.config:config",
        "Show the settings in effect and where each comes from: flag, environment, file or default.",
    ),
}
