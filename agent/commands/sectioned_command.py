"""`SectionedCommand`: a click command whose many settings are listed by section, after its own options."""

from itertools import groupby

import click

from agent.settings.flags import SETTING_PREFIX

_NOTE = "Each of the following is also a key of the configuration file and of the environment (docs/configuration.md)."


class SectionedCommand(click.Command):
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own: list[tuple[str, str]] = []
        settings: list[tuple[str, tuple[str, str]]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None or not isinstance(parameter, click.Option):
                continue
            section = _section_of(parameter)
            if section is None:
                own.append(record)
            else:
                settings.append((section, record))
        with formatter.section("Options"):
            formatter.write_dl(own)
        if settings:
            formatter.write_paragraph()
            formatter.write_text(_NOTE)
        for section, group in groupby(settings, key=lambda entry: entry[0]):
            with formatter.section(section.capitalize()):
                formatter.write_dl([record for _, record in group])


def _section_of(parameter: click.Parameter) -> str | None:
    name = parameter.name or ""
    if not name.startswith(SETTING_PREFIX):
        return None
    return name.removeprefix(SETTING_PREFIX).partition("_")[0]
