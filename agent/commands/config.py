"""`shoal config`."""

import click


@click.command()
def config() -> None:
    """To be written."""
