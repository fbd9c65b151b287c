"""The node's commands: pull, images, status, config. What runs several services together is in shoal.py."""

import click

from agent.commands.config import config
from agent.commands.images import images
from agent.commands.pull import pull
from agent.commands.status import status

COMMANDS: tuple[click.Command, ...] = (pull, images, status, config)
