"""`formatted_lines`: what `--format` makes of values: `json` for one object a line, `table TEMPLATE`, a template.

PURE.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from agent.commands.go_template import Template
from agent.commands.text_table import table_lines

_FIELD = re.compile(r"\.([A-Za-z]+)")
_HEADS = {
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
}


def formatted_lines(how: str, values: Iterable[Mapping[str, Any]]) -> list[str]:
    """Raises InputError for a template that does not fit."""
    if how == "json":
        return [json.dumps(value, separators=(",", ":"), ensure_ascii=False) for value in values]
    if not how.startswith("table "):
        template = Template.parse(how)
        return [template.render(value) for value in values]
    columns = how.removeprefix("table ").replace("\\t", "\t").split("\t")
    templates = [Template.parse(column) for column in columns]
    heads = [
        " ".join(_HEADS.get(name, name.upper()) for name in _FIELD.findall(column)) for column in columns
    ]
    return table_lines(heads, [[template.render(value) for template in templates] for value in values])
