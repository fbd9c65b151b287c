"""`shoal images`."""

import click


@click.command()
def images() -> None:
    """To be written."""
