import pytest

from builder.dockerfile.here_documents import only_document, opened_in, shell_text
from builder.dockerfile.instructions import Add, Copy, OnBuild, Place, Run
from builder.dockerfile.parser import parse_instruction
from tests.builder.dockerfile.reading import instruction, mistake, parsed


def run(text: str) -> Run:
    read = instruction(text)
    assert isinstance(read, Run)
    return read


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("RUN <<EOF", [("EOF", True, False, 0)]),
        ("RUN <<-EOF", [("EOF", True, True, 0)]),
        ("RUN <<'EOF'", [("EOF", False, False, 0)]),
        ('RUN <<"EOF"', [("EOF", False, False, 0)]),
        ("RUN <<E'O'F", [("EOF", False, False, 0)]),
        ("RUN 3<<EOF", [("EOF", True, False, 3)]),
        ("RUN <<A cat <<-B", [("A", True, False, 0), ("B", True, True, 0)]),
        ("RUN cat<<EOF", []),
        ("RUN cat <<EOF>x", [("EOF>x", True, False, 0)]),
        ("RUN cat <<$NAME", [("$NAME", True, False, 0)]),
        ("RUN cat <<<EOF", []),
        ("RUN cat <<", []),
        ("RUN echo '<<EOF'", []),
        ("RUN echo $((1<<3))", []),
        ("RUN echo \\<<EOF", []),
        ("RUN echo it's <<EOF", []),
        ("RUN cat << EOF", []),
    ],
)
def test_which_words_open_a_here_document(text: str, opened: list[tuple[str, bool, bool, int]]) -> None:
    found = [(one.name, one.expand, one.strip_tabs, one.descriptor) for one in opened_in(text)]
    assert found == opened


def test_a_run_that_is_one_document_is_its_script() -> None:
    read = run("RUN <<EOF\nset -e\n# kept\nmake\nEOF")
    assert shell_text(read.command) == "set -e\n# kept\nmake\n"
    assert read.text == "RUN <<EOF (set -e...)"
    document = only_document(read.command)
    assert document is not None
    assert document.content == "set -e\n# kept\nmake\n"


def test_a_run_with_more_than_a_document_leaves_it_to_the_shell() -> None:
    read = run("RUN cat <<-A - <<'B' > /x\n\tone\n\tA\n$two\nB")
    assert only_document(read.command) is None
    assert shell_text(read.command) == "cat <<-A - <<'B' > /x\n\tone\nA\n$two\nB"
    assert read.text == "RUN cat <<-A - <<'B' > /x"


def test_tabs_are_stripped_where_asked() -> None:
    read = run("RUN <<-EOF\n\t\tif x; then\n\t  y\n\tEOF")
    assert shell_text(read.command) == "if x; then\n  y\n"
    copy = instruction("COPY <<-EOF /x\n\ta\n\t\tEOF")
    assert isinstance(copy, Copy)
    assert copy.documents[0].content == "a\n"


def test_flags_do_not_make_a_run_more_than_a_document() -> None:
    read = run("RUN --network=none <<EOF\n#!/bin/x\nEOF")
    assert shell_text(read.command) == "#!/bin/x\n"
    assert read.text == "RUN --network=none <<EOF (#!/bin/x)"


def test_copy_has_documents_beside_paths() -> None:
    copy = instruction("COPY --chmod=755 <<one b <<'two' /d/\n$1\none\n$2\ntwo")
    assert isinstance(copy, Copy)
    assert (copy.sources, copy.destination) == (("b",), "/d/")
    assert [(one.name, one.content, one.expand) for one in copy.documents] == [
        ("one", "$1\n", True),
        ("two", "$2\n", False),
    ]


def test_add_has_documents_too() -> None:
    add = instruction("ADD <<f /x\nline\r\nf")
    assert isinstance(add, Add)
    assert add.documents[0].content == "line\r\n"


@pytest.mark.parametrize(
    "text", ['RUN ["cat", "<<EOF"]', 'COPY ["<<EOF", "/x"]', "CMD cat <<EOF", "ENV A=<<EOF"]
)
def test_no_document_in_json_and_in_other_instructions(text: str) -> None:
    assert len(parsed(f"FROM a\n{text}\nUSER u\n").stages[0].instructions) == 2


def test_in_json_a_document_is_a_name() -> None:
    copy = instruction('COPY ["<<EOF", "/x"]')
    assert isinstance(copy, Copy)
    assert copy.sources == ("<<EOF",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("FROM a\nRUN <<EOF\nx\n", "a line with EOF alone must end it"),
        ("FROM a\nRUN <<EOF\nx\n EOF\n", "a line with EOF alone"),
        ("FROM a\nCOPY a <<EOF\nx\nEOF\n", "no destination"),
        ("FROM a\nCOPY it's <<EOF /x\nEOF\n", "behind some that are not closed"),
        ('FROM a\nCOPY "a <<EOF b" /x\n', "in quotes"),
    ],
)
def test_a_document_must_end_and_be_a_source(text: str, says: str) -> None:
    assert says in mistake(text).problem


def test_a_trigger_keeps_its_document() -> None:
    on_build = instruction("ONBUILD RUN <<-EOF\n\tmake\n\tEOF")
    assert isinstance(on_build, OnBuild)
    assert on_build.trigger == "RUN <<-EOF\n\tmake\nEOF"
    place = Place(7, 7)
    fired = parse_instruction(on_build.trigger, "\\", place)
    assert isinstance(fired, Run)
    assert fired.place == place
    assert shell_text(fired.command) == "make\n"
