"""The `shoal` command: the one place that composes agent, registry proxy, tracker and builder.

Each of them brings its own `commands.py`; this module only mounts them.
"""

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="shoal", prog_name="shoal")
def main() -> None:
    """Container images that move the way a shoal moves."""


if __name__ == "__main__":
    main()
