"""`RunError`: a command could not even be started. A command that ran and failed is an exit status, no error."""

from agent.content.errors import ShoalError


class RunError(ShoalError):
    """This machine or this image cannot run it: no runtime, no network, no such user or program."""
