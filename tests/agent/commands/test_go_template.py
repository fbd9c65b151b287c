"""What of Go's templates `--format` knows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.commands.formatted import formatted_lines
from agent.commands.go_template import Template
from agent.content.errors import InputError

_VALUE = {
    "Id": "sha256:abc",
    "RepoTags": ["a:1", "b:2"],
    "Config": {"Env": ["A=1"], "Labels": {"x.y": "z"}, "Cmd": None, "Tty": False},
    "Size": 5,
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{.Id}}", "sha256:abc"),
        ("{{ .Config.Env }} {{.Size}}", "[A=1] 5"),
        ("{{json .Config}}", '{"Env":["A=1"],"Labels":{"x.y":"z"},"Cmd":null,"Tty":false}'),
        ('{{join .RepoTags ", "}}', "a:1, b:2"),
        ("{{len .RepoTags}}\\t{{upper .Id}}", "2\tSHA256:ABC"),
        ('{{index .Config.Labels "x.y"}}{{index .Config.Labels "none"}}', "z"),
        ("{{index .RepoTags 1}}", "b:2"),
        ("{{range .RepoTags}}<{{.}}>{{end}}", "<a:1><b:2>"),
        ("{{range .Config.Cmd}}x{{else}}none{{end}}", "none"),
        ("{{if .Config.Tty}}yes{{else}}no{{end}}", "no"),
        ("{{println .Id}}", "sha256:abc\n"),
        ("a {{- .Size -}} b", "a5b"),
        ("{{.Config.Cmd}} {{.Config.Tty}} {{.Config.Labels}}", "<no value> false map[x.y:z]"),
    ],
)
def test_templates_print_what_gos_do(template: str, text: str) -> None:
    assert Template.parse(template).render(_VALUE) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{.Nope}}",
        "{{exec .Id}}",
        "{{",
        "{{.Id}",
        "{{end}}",
        "{{range .RepoTags}}",
        "{{}}",
        "{{join .Size}}",
        "{{__import__}}",
    ],
)
def test_what_is_not_of_the_grammar_is_refused(template: str) -> None:
    with pytest.raises(InputError):
        Template.parse(template).render(_VALUE)


@given(st.text('{}.-a"`\\ 1jsonrange|', max_size=30))
def test_any_text_is_a_template_or_an_input_error(text: str) -> None:
    try:
        Template.parse(text).render(_VALUE)
    except InputError:
        pass


def test_a_table_has_a_head_of_its_fields() -> None:
    lines = formatted_lines("table {{.ID}}\\t{{.Tag}}", [{"ID": "abc", "Tag": "1"}])
    assert [line.split() for line in lines] == [["IMAGE", "ID", "TAG"], ["abc", "1"]]


def test_json_is_an_object_a_line() -> None:
    assert formatted_lines("json", [{"a": 1}, {"a": 2}]) == ['{"a":1}', '{"a":2}']
