"""`shoal status`."""

import click


@click.command()
def status() -> None:
    """To be written."""
