"""The node's commands: pull, push, status, config, and those for the images of its store.

What runs several services together is in shoal.py.
"""

from agent.commands.lazy_group import LazyCommand

COMMANDS: dict[str, LazyCommand] = {
    "pull": LazyCommand("agent.commands.pull:pull", "Pull an image into this node's store."),
    "push": LazyCommand("agent.commands.push:push", "Push an image of this node's store to its registry."),
    "images": LazyCommand("agent.commands.images:images", "List the images in this node's store."),
    "inspect": LazyCommand(
        "agent.commands.inspect:inspect", "Print what images say of themselves, as a JSON array."
    ),
    "history": LazyCommand(
        "agent.commands.history:history", "Show the steps that made an image, newest first."
    ),
    "tag": LazyCommand("agent.commands.tag:tag", "Give an image another name."),
    "rmi": LazyCommand(
        "agent.commands.rmi:rmi",
        "Remove names of images; with its last name an image goes, and what nothing else needs of it.",
    ),
    "prune": LazyCommand(
        "agent.commands.prune:prune",
        "Remove images without a name (dangling ones), and what nothing else needs of them.",
    ),
    "pin": LazyCommand(
        "agent.commands.pin:pin",
        "Keep images from eviction and `shoal prune`; without IMAGE, list what is pinned.",
    ),
    "unpin": LazyCommand("agent.commands.pin:unpin", "Let images be evicted and pruned again."),
    "save": LazyCommand(
        "agent.commands.save:save",
        "Write images as a tar that `docker load`, `podman load`, skopeo, ctr and `shoal load` read.",
    ),
    "load": LazyCommand(
        "agent.commands.load:load",
        "Load images from a tar: of any Docker, of podman, skopeo, `shoal save`, or of an OCI layout.",
    ),
    "export": LazyCommand(
        "agent.commands.export:export",
        "Write the root file system of an image as a tar: its layers applied, nothing unpacked on the way.",
    ),
    "import": LazyCommand(
        "agent.commands.import_:import_",
        "Make an image of one layer from a tar of a root file system, and print its ID.",
    ),
    "commit": LazyCommand(
        "agent.commands.commit:commit",
        "Make an image of what changed in a container or a directory, and print its ID.",
    ),
    "copy": LazyCommand(
        "agent.commands.copy:copy",
        "Copy an image; configs and layers stay as they are, byte for byte, and so does the image ID.",
    ),
    "store": LazyCommand(
        "agent.commands.store:store",
        "Explain this node's store by what is in it: from a name to a manifest, a config, layers, chain IDs.",
    ),
    "status": LazyCommand(
        "agent.commands.status:status",
        "Show what the agent on this machine does: tracker, peers, swarms, downloads, rates, store.",
    ),
    "config": LazyCommand(
        "agent.commands.config:config",
        "Show the settings in effect and where each comes from: flag, environment, file or default.",
    ),
}
