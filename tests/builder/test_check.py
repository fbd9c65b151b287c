"""`--check`: read and planned without a store, rights or network, and nothing is claimed that an image could refute."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.content.errors import InputError
from agent.store.store import Store
from builder.check import check
from builder.request import BuildRequest
from tests.agent.commands.local_shell import LocalShell
from tests.builder.building import Told, put_image, tar_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


async def found(
    directory: Path, dockerfile: str, store: Store | None = None, **request: str
) -> list[tuple[str, int]]:
    """Rules and lines."""
    (directory / "Dockerfile").write_text(dockerfile)
    _, warnings = await check(BuildRequest(str(directory), **request), store, {}, Told())  # type: ignore[arg-type]
    return [(one.rule, one.place.line) for one in warnings]


async def test_what_the_file_and_its_context_say_is_found_without_any_image(tmp_path: Path) -> None:
    assert await found(tmp_path, "from base:1\nLABEL a=b\nRUN true\n") == [("ConsistentInstructionCasing", 1)]
    (tmp_path / ".dockerignore").write_text("left-out\n")
    dockerfile = "FROM base:1\nCOPY left-out* /x\nCOPY ./left-out /x\nCOPY --from=base:1 left-out /x\n"
    assert await found(tmp_path, dockerfile) == [("CopyIgnoredFile", 3)]


async def test_a_variable_that_an_unknown_image_may_have_is_no_mistake(tmp_path: Path) -> None:
    body = "COPY $THEIRS$GOPATH /x\nEXPOSE ${PORT:?}\nARG VERSION=1\nENV A=$VERSOIN B=$VERSION\n"
    assert await found(tmp_path, f"FROM base:1\n{body}") == [("UndefinedVar", 5)], (
        "the one that is nearly ours"
    )
    rest = body.replace("EXPOSE ${PORT:?}\n", "\n")
    places = [("UndefinedVar", 2), ("UndefinedVar", 2), ("UndefinedVar", 5)]
    assert await found(tmp_path, f"FROM scratch\n{rest}") == places
    with pytest.raises(InputError, match="PORT"):
        await found(tmp_path, f"FROM scratch\n{body}")


async def test_an_image_that_is_here_is_looked_at(tmp_path: Path, store: Store) -> None:
    put_image(store, "base:1", Env=["THEIRS=1"])
    assert await found(tmp_path, "FROM base:1\nCOPY $THEIRS$OTHERS /x\n", store) == [("UndefinedVar", 2)]


async def test_every_stage_is_looked_at_unless_one_is_named(tmp_path: Path) -> None:
    dockerfile = "FROM scratch AS a\nCOPY $NONE /x\nFROM scratch AS b\nLABEL a=b\n"
    assert await found(tmp_path, dockerfile) == [("UndefinedVar", 2)]
    assert await found(tmp_path, dockerfile, target="b") == []


async def test_what_is_no_name_of_an_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="A:::B"):
        await found(tmp_path, "FROM A:::B\n")


def test_no_store_is_made_and_none_is_needed(tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Dockerfile").write_text("FROM example.org/no/such:1\nRUN true\n")
    told = LocalShell(tmp_path / "data").run("build", "--check", str(tmp_path / "context"))
    assert told.stdout == "Check complete, no warnings found.\n"
    assert not (tmp_path / "data").exists()
    (tmp_path / "no-directory").touch()
    LocalShell(tmp_path / "no-directory" / "data").run("build", "--check", str(tmp_path / "context"))


def test_a_context_on_standard_input_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    (tmp_path / "context.tar").write_bytes(tar_of({"Dockerfile": b"FROM base\ncopy a /\n"}))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    standard_input = os.dup(0)
    try:
        with (tmp_path / "context.tar").open("rb") as file:
            os.dup2(file.fileno(), 0)
            told = LocalShell(tmp_path / "data").run("build", "--check", "-", code=1)
    finally:
        os.dup2(standard_input, 0)
        os.close(standard_input)
    assert "ConsistentInstructionCasing" in told.stdout
    assert list((tmp_path / "temporary").iterdir()) == []
