"""`shoal pull`."""

import click


@click.command()
def pull() -> None:
    """To be written."""
