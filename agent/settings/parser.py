"""From a parsed file, an environment and flags to `Settings`, or to every mistake in them at once. PURE.

Reading the file is the loader's, the single values are the kinds', what goes together is the rules'.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.content.reference import DOCKER_HUB
from agent.settings.field import Field, ListField, Machine
from agent.settings.fields import FIELDS, LIST_OF, rows
from agent.settings.layers import (
    Element,
    Given,
    Layer,
    parse_short,
    read_document,
    read_environment,
    read_flags,
)
from agent.settings.mistake import Mistake, SettingsError
from agent.settings.rules import broken_rules
from agent.settings.settings import (
    AdminSettings,
    BuildSettings,
    CredentialsSettings,
    LogSettings,
    NodeSettings,
    PeerSettings,
    ProxySettings,
    PushSettings,
    PushThroughRule,
    SecuritySettings,
    Settings,
    StandbySettings,
    StoreSettings,
    TagRule,
    TrackerSettings,
    UpstreamSettings,
)

SECTION_TYPES: dict[str, Any] = {
    "node": NodeSettings,
    "proxy": ProxySettings,
    "peer": PeerSettings,
    "tracker": TrackerSettings,
    "store": StoreSettings,
    "push": PushSettings,
    "build": BuildSettings,
    "credentials": CredentialsSettings,
    "admin": AdminSettings,
    "standby": StandbySettings,
    "log": LogSettings,
    "security": SecuritySettings,
}
ELEMENT_TYPES: dict[str, Any] = {
    "tags": TagRule,
    "upstreams": UpstreamSettings,
    "push_through": PushThroughRule,
}

_DEFAULT = "default"
_CATCH_ALL = "*"


def parse_settings(
    document: Mapping[str, object],
    environ: Mapping[str, str],
    flags: Mapping[str, str],
    machine: Machine,
    file_name: str = "configuration file",
    loading: tuple[Mistake, ...] = (),
) -> Settings:
    """Flags win over environment over file over defaults. Raises SettingsError.

    `flags` is keyed as the file is (`proxy.listen`); `loading` are mistakes that reading the file brought up already.
    """
    layers = (read_document(document, file_name), read_environment(environ), read_flags(flags))
    mistakes = [*loading, *(mistake for layer in layers for mistake in layer.mistakes)]
    settings = _assemble(_strongest(layers), machine)
    mistaken = frozenset(_row_of(mistake.key) for mistake in mistakes)
    mistakes += broken_rules(settings, mistaken)
    if mistakes:
        raise SettingsError(mistakes)
    return settings


def _row_of(key: str) -> str:
    """The row a mistake's key belongs to: `tags[2].pattern` -> `tags`."""
    return key.partition("[")[0]


def _strongest(layers: tuple[Layer, ...]) -> dict[str, Given]:
    merged: dict[str, Given] = {}
    for layer in layers:
        merged |= layer.values
    return merged


def _assemble(given: Mapping[str, Given], machine: Machine) -> Settings:
    sections: dict[str, dict[str, Any]] = {section: {} for section in SECTION_TYPES}
    for row in FIELDS:
        section = sections[row.section]
        value = given[row.path].value if row.path in given else default_of(row, section, machine)
        section[row.key] = _at_home(value, machine)
    lists = {
        key: _elements(row, given[key].value if key in given else parse_short(row, row.default), machine)
        for key, row in LIST_OF.items()
    }
    _derive_across(sections, lists["upstreams"])
    return Settings(
        **{name: SECTION_TYPES[name](**values) for name, values in sections.items()},
        tags=_closed(lists["tags"], machine),
        upstreams=lists["upstreams"],
        push_through=lists["push_through"],
        sources={row.path: given[row.path].source if row.path in given else _DEFAULT for row in rows()},
    )


def default_of(row: Field, section: Mapping[str, object], machine: Machine) -> object:
    """`section` holds the keys that stand before this one."""
    if row.derive is not None:
        return row.derive(section, machine)
    return None if row.default is None else row.kind.parse(row.default)


def _derive_across(sections: dict[str, dict[str, Any]], upstreams: tuple[Any, ...]) -> None:
    """The defaults that depend on another section."""
    peer, admin, proxy = sections["peer"], sections["admin"], sections["proxy"]
    if peer["advertise"] is None:
        peer["advertise"] = peer["listen"]
    if admin["socket"] is None:
        admin["socket"] = sections["node"]["data_dir"] / "shoal.sock"
    if proxy["default_upstream"] is None:
        registries = [upstream.registry for upstream in upstreams]
        proxy["default_upstream"] = (
            DOCKER_HUB if DOCKER_HUB in registries or not registries else registries[0]
        )


def _elements(row: ListField, elements: Any, machine: Machine) -> tuple[Any, ...]:
    return tuple(ELEMENT_TYPES[row.key](**_whole(row, element, machine)) for element in elements)


def _whole(row: ListField, element: Element, machine: Machine) -> Element:
    whole: Element = {}
    for row_field in row.fields:
        value = element[row_field.key] if row_field.key in element else default_of(row_field, whole, machine)
        whole[row_field.key] = _at_home(value, machine)
    return whole


def _closed(rules: tuple[TagRule, ...], machine: Machine) -> tuple[TagRule, ...]:
    """With a last rule for everything, so that there is an answer for every tag."""
    if any(rule.pattern == _CATCH_ALL for rule in rules):
        return rules
    default: TagRule = _elements(LIST_OF["tags"], ({},), machine)[0]
    return (*rules, replace(default, pattern=_CATCH_ALL))


def _at_home(value: object, machine: Machine) -> object:
    if isinstance(value, tuple):
        return tuple(_at_home(element, machine) for element in value)
    if isinstance(value, Path) and value.parts[:1] == ("~",):
        return machine.home.joinpath(*value.parts[1:])
    return value
