"""What `make docs-check` takes for commands."""

from pathlib import Path

import pytest

from tests.docs_check import Block, check, parse_blocks


def test_a_console_block_is_its_prompted_lines() -> None:
    text = "```console\n$ echo one \\\n> two\none two\n$ true\n```\n"
    assert list(parse_blocks(text)) == [Block(1, "echo one \\\ntwo\ntrue\n", None)]


def test_a_marked_block_is_skipped_with_its_reason() -> None:
    text = "words\n<!-- docs-check: skip: needs a cluster -->\n```sh\nfalse\n```\n```toml\na = 1\n```\n"
    assert list(parse_blocks(text)) == [Block(3, "false\n", "needs a cluster")]


def test_a_command_that_fails_fails_the_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "a.md"
    document.write_text("```sh\nfalse\ntrue\n```\n```sh\ntest -f pyproject.toml\n```\n")
    assert check(document) == 1
    printed = capsys.readouterr().out
    assert "a.md:1: FAILED" in printed
    assert "a.md:5: ok" in printed
